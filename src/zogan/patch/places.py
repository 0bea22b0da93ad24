"""Where in the model the changed weights lie: layers by kinds of matrix, read off the tensors' names."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from zogan.patch.change import Change

_LAYER = re.compile(r"\.(\d+)\.")
_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")


@dataclass(frozen=True)
class Cell:
    """Changed weights among all weights of some tensors.

    Args:
        changed: weights that change.
        total: all weights.
        moved: sum over the changed ones of the squared difference of new and old.
        was: sum over the same of the squared old value.
    """

    changed: int
    total: int
    moved: float = 0.0
    was: float = 0.0

    @property
    def share(self) -> float:
        """Changed share, 0 to 1."""
        return self.changed / self.total if self.total else 0.0

    @property
    def size(self) -> float | None:
        """|new - old| / |old| over the changed weights, Euclidean norms; None where that is no number."""
        found = math.sqrt(self.moved / self.was) if self.was > 0 else math.inf
        return found if math.isfinite(found) else None

    def __add__(self, other: Cell) -> Cell:
        return Cell(
            self.changed + other.changed, self.total + other.total, self.moved + other.moved, self.was + other.was
        )


@dataclass(frozen=True)
class Places:
    """The changed weights, located.

    Args:
        layers: numbers of the layers, from 0 to the highest that changed.
        kinds: kinds of matrix, such as `attention.self.query`, in the order of the model.
        cells: (kind, layer) to its counts; absent where nothing changed.
        outside: matrices that stand in no layer, such as embeddings.
        vectors: biases and norms, wherever they stand: where they train, they train whole, and a matrix's share would
            be nothing beside theirs.
    """

    layers: tuple[int, ...]
    kinds: tuple[str, ...]
    cells: Mapping[tuple[str, int], Cell]
    outside: Mapping[str, Cell]
    vectors: Cell = Cell(0, 0)

    @property
    def changed(self) -> int:
        """Number of changed weights in all."""
        return sum(cell.changed for cell in (*self.cells.values(), *self.outside.values(), self.vectors))

    def by_layer(self) -> dict[int, int]:
        """Changed weights of each layer's matrices."""
        sums = dict.fromkeys(self.layers, 0)
        for (_, layer), cell in self.cells.items():
            sums[layer] += cell.changed
        return sums

    def by_kind(self) -> dict[str, int]:
        """Changed weights of each kind of matrix."""
        sums = dict.fromkeys(self.kinds, 0)
        for (kind, _), cell in self.cells.items():
            sums[kind] += cell.changed
        return sums


def locate(tensors: Mapping[str, tuple[int, tuple[int, ...]]]) -> Places:
    """Sort tensors by the first number in their names, which is the layer, and by the rest, which is the kind.

    Args:
        tensors: name to the number of changed weights and the shape.
    """
    return _sorted(
        {name: (Cell(changed, math.prod(shape)), shape) for name, (changed, shape) in tensors.items() if changed}
    )


def locate_changes(changes: Mapping[str, Change]) -> Places:
    """The same of a patch's changes, with the size of what changed."""
    return _sorted({name: (_measured(change), change.shape) for name, change in changes.items()})


def layer_of(tensor: str) -> int | None:
    """The number of the layer that a tensor stands in, from 0; None where it stands in none."""
    match = _LAYER.search(tensor)
    return None if match is None else int(match.group(1))


def _measured(change: Change) -> Cell:
    old, new = change.old.double(), change.new.double()
    return Cell(len(old), change.numel, float((new - old).square().sum()), float(old.square().sum()))


def _sorted(tensors: Mapping[str, tuple[Cell, tuple[int, ...]]]) -> Places:
    cells: dict[tuple[str, int], Cell] = {}
    outside: dict[str, Cell] = {}
    vectors = Cell(0, 0)
    for name, (cell, shape) in tensors.items():
        if len(shape) < 2:
            vectors += cell
            continue
        match = _LAYER.search(name)
        if match is None:
            outside[name.removesuffix(".weight")] = cell
            continue
        rest = _NUMBER.sub("*", "." + name[match.end() :])[1:]  # numbers further in count experts, not layers
        key = (rest.removesuffix(".weight"), int(match.group(1)))
        cells[key] = cells.get(key, Cell(0, 0)) + cell
    highest = max((layer for _, layer in cells), default=-1)
    kinds = sorted({kind for kind, _ in cells}, key=_order)
    return Places(tuple(range(highest + 1)), tuple(kinds), cells, dict(sorted(outside.items())), vectors)


def _order(kind: str) -> tuple[int, int, str]:
    """Attention before the feed-forward part, query, key, value, output within: as a block computes."""
    steps = ("query", "q_proj", "key", "k_proj", "value", "v_proj", "attn", "attention.output", "o_proj")
    later = ("intermediate", "gate", "up_proj", "fc", "output", "down_proj")
    first = next((index for index, step in enumerate(steps) if step in kind), None)
    if first is not None:
        return 0, first, kind
    return 1, next((index for index, step in enumerate(later) if step in kind), len(later)), kind
