"""Bases: open what the user gave, know it by its fingerprint, load its model and tokenizer."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zogan.models.base import Base, open_base
    from zogan.models.load import load_body, load_causal, load_classifier, load_tokenizer, save_folder
    from zogan.models.names import tensor_names
    from zogan.models.sentence import Pooling

__all__ = [
    "Base",
    "Pooling",
    "load_body",
    "load_causal",
    "load_classifier",
    "load_tokenizer",
    "open_base",
    "save_folder",
    "tensor_names",
]

# Imported when first asked for: transformers' model classes take seconds, opening a base does without them.
_LATE = {
    "Base": "base",
    "Pooling": "sentence",
    "load_body": "load",
    "load_causal": "load",
    "load_classifier": "load",
    "load_tokenizer": "load",
    "open_base": "base",
    "save_folder": "load",
    "tensor_names": "names",
}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(importlib.import_module(f"zogan.models.{_LATE[name]}"), name)
    raise AttributeError(f"module 'zogan.models' has no attribute {name!r}")
