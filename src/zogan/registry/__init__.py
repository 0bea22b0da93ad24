"""Every patch, event and decision: who approved what, on what evidence, and how to go back."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zogan.registry.identity import Identity
    from zogan.registry.log import Head
    from zogan.registry.policy import Policy
    from zogan.registry.registry import Registry
    from zogan.registry.rules import RefusedError

__all__ = ["Head", "Identity", "Policy", "RefusedError", "Registry"]

# Imported when first asked for: SQLAlchemy and cryptography belong to an extra.
_LATE = {
    "Head": "zogan.registry.log",
    "Identity": "zogan.registry.identity",
    "Policy": "zogan.registry.policy",
    "RefusedError": "zogan.registry.rules",
    "Registry": "zogan.registry.registry",
}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name]), name)
    raise AttributeError(f"module 'zogan.registry' has no attribute {name!r}")
