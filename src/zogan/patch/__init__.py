"""The result of tuning: one file, applied and taken back bit for bit."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zogan.patch.change import Change
    from zogan.patch.folder import FolderResult, apply_folder, revert_folder
    from zogan.patch.journal import recover
    from zogan.patch.meta import PatchMeta
    from zogan.patch.patch import Patch
    from zogan.patch.summary import PatchSummary, describe

__all__ = [
    "Change",
    "FolderResult",
    "Patch",
    "PatchMeta",
    "PatchSummary",
    "apply_folder",
    "describe",
    "recover",
    "revert_folder",
]

# Imported when first asked for: torch takes seconds.
_LATE = {
    "Change": "zogan.patch.change",
    "FolderResult": "zogan.patch.folder",
    "Patch": "zogan.patch.patch",
    "PatchMeta": "zogan.patch.meta",
    "PatchSummary": "zogan.patch.summary",
    "apply_folder": "zogan.patch.folder",
    "describe": "zogan.patch.summary",
    "recover": "zogan.patch.journal",
    "revert_folder": "zogan.patch.folder",
}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name]), name)
    raise AttributeError(f"module 'zogan.patch' has no attribute {name!r}")
