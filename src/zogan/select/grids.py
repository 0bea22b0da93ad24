"""Matrices cut into the units that a structured pattern chooses: rows, columns, blocks, or what is coupled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn.functional import pad

from zogan.select.couplings import couplings
from zogan.sparse import gradient
from zogan.sparse.layer import kernel_of


@dataclass(frozen=True)
class Span:
    """One side of a matrix in parts: `width` neighbours belong to one part, and after `parts` of them it starts anew.

    Attributes:
        width: neighbours that belong together; at the end there may be fewer.
        parts: how many differ.
    """

    width: int
    parts: int

    def labels(self, size: int) -> Int64[Tensor, " size"]:
        """The part of each index up to `size`."""
        return torch.arange(size) // self.width % self.parts


@dataclass(frozen=True)
class Grid:
    """A matrix in units: a grid of parts of its rows and parts of its columns, numbered row by row.

    Attributes:
        group: matrices of one group share their units.
        rows: how the rows are cut.
        columns: how the columns are cut.
    """

    group: str
    rows: Span
    columns: Span

    def sums(self, scores: Float[Tensor, "rows columns"]) -> Float[Tensor, " units"]:
        """Of the scores in each unit."""
        return _folded(_folded(scores, self.rows, 0), self.columns, 1).reshape(-1)

    def sizes(self, shape: tuple[int, int]) -> Int64[Tensor, " units"]:
        """Weights of a matrix of that shape in each unit."""
        rows = torch.bincount(self.rows.labels(shape[0]), minlength=self.rows.parts)
        columns = torch.bincount(self.columns.labels(shape[1]), minlength=self.columns.parts)
        return (rows[:, None] * columns).reshape(-1)

    def positions(self, units: Bool[Tensor, " units"], shape: tuple[int, int]) -> Int64[Tensor, " chosen"]:
        """Flat positions of the weights in those units, strictly increasing."""
        grid = units.view(self.rows.parts, self.columns.parts)
        mask = grid[self.rows.labels(shape[0])][:, self.columns.labels(shape[1])]  # (rows, columns)
        return mask.reshape(-1).nonzero().squeeze(1)


def grids_of(model: nn.Module, shapes: Mapping[str, tuple[int, int]], *, pattern: str, block: int) -> dict[str, Grid]:
    """Each matrix in the units of a pattern.

    A row is all that feeds one output, a column all that one input feeds. `Conv1D` stores its weight the other way
    round: there a row is a stored column.

    Args:
        model: in which they stand.
        shapes: parameter name to the stored (rows, columns), all that may be chosen.
        pattern: `rows`, `columns`, `blocks` or `coupled`; what cannot be coupled is cut into rows.
        block: side of a block.
    """
    if pattern == "blocks":
        return {
            name: Grid(name, Span(block, -(-rows // block)), Span(block, -(-columns // block)))
            for name, (rows, columns) in shapes.items()
        }
    turned = {
        f"{path}.weight" if path else "weight"
        for path, module in model.named_modules()
        if kernel_of(module) is gradient.conv1d
    }
    grids = {}
    for name, shape in shapes.items():
        side = int((pattern == "columns") != (name in turned))
        grids[name] = _along(side, name, Span(1, shape[side]), shape)
    for coupling in couplings(model) if pattern == "coupled" else ():
        for member in coupling.members:
            if member.name in shapes:
                side = int(member.inputs != (member.name in turned))
                span = Span(member.width, coupling.units)
                grids[member.name] = _along(side, coupling.name, span, shapes[member.name])
    return grids


def _along(side: int, group: str, span: Span, shape: tuple[int, int]) -> Grid:
    """Grid along the rows (0) or the columns (1); the other side stays whole."""
    whole = Span(shape[1 - side], 1)
    return Grid(group, whole, span) if side else Grid(group, span, whole)


def _folded(scores: Tensor, span: Span, side: int) -> Tensor:
    """Sums over what belongs to one part, along one side."""
    rows, columns = scores.shape
    turns = -(-scores.shape[side] // (span.width * span.parts))
    if missing := turns * span.width * span.parts - scores.shape[side]:
        scores = pad(scores, (0, missing) if side else (0, 0, 0, missing))
    if side:
        return scores.reshape(rows, turns, span.parts, span.width).sum((1, 3))  # (rows, parts)
    return scores.reshape(turns, span.parts, span.width, columns).sum((0, 2))  # (parts, columns)
