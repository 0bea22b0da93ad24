"""The selection file: what was chosen, from which data, by what."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from zogan.errors import IntegrityError
from zogan.sparse.selection import Selection

FORMAT = "zogan-selection/1"

T = TypeVar("T")


def save_selection(selection: Selection, path: Path) -> None:
    """Write a selection as one safetensors file: per parameter its flat positions (int64), the rest as metadata.

    The file appears whole or not at all.
    """
    about = {
        "format": FORMAT,
        "shapes": {name: list(shape) for name, shape in sorted(selection.shapes.items())},
        "whole": list(selection.whole),
        "meta": dict(selection.meta),
    }
    partial = path.with_name(path.name + ".partial")
    # Copies: the library refuses tensors that share memory.
    tensors = {name: flat.clone() for name, flat in sorted(selection.positions.items())}
    # One key: the library keeps several in no fixed order, and the file's bytes shall not vary.
    save_file(tensors, partial, {"zogan": json.dumps(about, sort_keys=True, ensure_ascii=False)})
    partial.replace(path)


def load_selection(path: Path) -> Selection:
    """Read a selection file.

    Raises:
        IntegrityError: not such a file, or positions that do not fit their shapes.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})["zogan"])
            positions = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if about["format"] != FORMAT:
            raise ValueError(f"format {about['format']!r} is not {FORMAT!r}")
        if any(flat.dtype != torch.int64 or flat.dim() != 1 for flat in positions.values()):
            raise ValueError("positions must be one row of int64")
        whole, meta = _checked(list, about["whole"]), _checked(dict, about["meta"])
        shapes = {name: _shape(shape) for name, shape in _checked(dict, about["shapes"]).items()}
        return Selection(positions, shapes, tuple(_checked(str, name) for name in whole), meta)
    except KeyError as error:
        raise IntegrityError(f"is no selection file: {error} is missing", where=str(path)) from None
    except (SafetensorError, TypeError, ValueError, RecursionError, OSError) as error:
        raise IntegrityError(f"is no selection file: {error}", where=str(path)) from None


def _shape(given: Any) -> tuple[int, ...]:
    shape = tuple(_checked(int, size) for size in _checked(list, given))
    if any(size < 1 for size in shape) or math.prod(shape) > torch.iinfo(torch.int64).max:
        raise ValueError(f"{given} is no shape of a weight")
    return shape


def _checked(kind: type[T], given: Any) -> T:
    if type(given) is not kind:
        raise TypeError(f"{given!r} is no {kind.__name__}")
    return given
