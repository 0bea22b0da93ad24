"""zogan: tune a foundation model by replacing a small share of its weights."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from zogan.evaluate import compare_runs, evaluate
from zogan.evaluate.applicability import check
from zogan.evaluate.explanation import explain_run
from zogan.evaluate.probes import probe
from zogan.search import search
from zogan.select import select
from zogan.train import check_labels, estimate, tune

if TYPE_CHECKING:
    from zogan.patch import (
        Patch,
        compose_patches,
        diff_patches,
        export_patch,
        find_conflicts,
        rebase_patch,
        remove_patch,
        verify_export,
    )
    from zogan.registry import Registry
    from zogan.sparse.attach import attach, detach

__version__ = "0.1.0"

__all__ = [
    "Patch",
    "Registry",
    "attach",
    "check",
    "check_labels",
    "compare_runs",
    "compose_patches",
    "detach",
    "diff_patches",
    "estimate",
    "evaluate",
    "explain_run",
    "export_patch",
    "find_conflicts",
    "probe",
    "rebase_patch",
    "remove_patch",
    "search",
    "select",
    "tune",
    "verify_export",
]

# Imported when first asked for: torch takes seconds, `zogan --help` must not. `select`, `search` and `evaluate` are
# packages too: imported above, the functions hold the names for good, and `from zogan.select.… import …` works on.
_LATE = {
    "Patch": "zogan.patch",
    "Registry": "zogan.registry",
    "attach": "zogan.sparse.attach",
    "compose_patches": "zogan.patch",
    "detach": "zogan.sparse.attach",
    "diff_patches": "zogan.patch",
    "export_patch": "zogan.patch",
    "find_conflicts": "zogan.patch",
    "rebase_patch": "zogan.patch",
    "remove_patch": "zogan.patch",
    "verify_export": "zogan.patch",
}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name]), name)
    raise AttributeError(f"module 'zogan' has no attribute {name!r}")
