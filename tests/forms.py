"""Positions in a matrix that have a form: whole rows, whole columns, blocks, or none."""

from __future__ import annotations

import torch
from torch import Tensor

FORMS = ("elements", "rows", "columns", "blocks")


def pick(seed: int, numel: int, share: float) -> Tensor:
    """A share of the positions from 0 to `numel`, at least one, strictly increasing."""
    order = torch.randperm(numel, generator=torch.Generator().manual_seed(seed))
    return order[: max(1, round(share * numel))].sort().values


def formed(form: str, shape: tuple[int, int], share: float, seed: int, side: int = 3) -> Tensor:
    """Flat positions of a share of the rows, columns or blocks (of `side`, cut at the edges), at least one."""
    rows, columns = shape
    mask = torch.zeros(shape, dtype=torch.bool)
    if form == "elements":
        mask.view(-1)[pick(seed, rows * columns, share)] = True
    elif form == "rows":
        mask[pick(seed, rows, share)] = True
    elif form == "columns":
        mask[:, pick(seed, columns, share)] = True
    else:
        wide = -(-columns // side)
        for block in pick(seed, -(-rows // side) * wide, share).tolist():
            row, column = block // wide * side, block % wide * side
            mask[row : row + side, column : column + side] = True
    return mask.view(-1).nonzero().squeeze(1)
