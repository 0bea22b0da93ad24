"""The result of tuning: one file, applied and taken back bit for bit."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zogan.patch.change import Change
    from zogan.patch.compose import Composed, compose_patches
    from zogan.patch.conflicts import Conflicts, find_conflicts
    from zogan.patch.diff import PatchDifference, diff_patches
    from zogan.patch.export import Exported, export_patch
    from zogan.patch.folder import FolderResult, apply_folder, revert_folder
    from zogan.patch.journal import recover
    from zogan.patch.meta import PatchMeta
    from zogan.patch.patch import Patch
    from zogan.patch.rebase import Rebased, rebase_patch
    from zogan.patch.remove import Removed, remove_patch
    from zogan.patch.signature import verify_export
    from zogan.patch.summary import PatchSummary, describe

__all__ = [
    "Change",
    "Composed",
    "Conflicts",
    "Exported",
    "FolderResult",
    "Patch",
    "PatchDifference",
    "PatchMeta",
    "PatchSummary",
    "Rebased",
    "Removed",
    "apply_folder",
    "compose_patches",
    "describe",
    "diff_patches",
    "export_patch",
    "find_conflicts",
    "rebase_patch",
    "recover",
    "remove_patch",
    "revert_folder",
    "verify_export",
]

# Imported when first asked for: torch takes seconds.
_LATE = {
    "Change": "zogan.patch.change",
    "Composed": "zogan.patch.compose",
    "Conflicts": "zogan.patch.conflicts",
    "Exported": "zogan.patch.export",
    "FolderResult": "zogan.patch.folder",
    "Patch": "zogan.patch.patch",
    "PatchDifference": "zogan.patch.diff",
    "PatchMeta": "zogan.patch.meta",
    "PatchSummary": "zogan.patch.summary",
    "Rebased": "zogan.patch.rebase",
    "Removed": "zogan.patch.remove",
    "apply_folder": "zogan.patch.folder",
    "compose_patches": "zogan.patch.compose",
    "describe": "zogan.patch.summary",
    "diff_patches": "zogan.patch.diff",
    "export_patch": "zogan.patch.export",
    "find_conflicts": "zogan.patch.conflicts",
    "rebase_patch": "zogan.patch.rebase",
    "recover": "zogan.patch.journal",
    "remove_patch": "zogan.patch.remove",
    "revert_folder": "zogan.patch.folder",
    "verify_export": "zogan.patch.signature",
}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name]), name)
    raise AttributeError(f"module 'zogan.patch' has no attribute {name!r}")
