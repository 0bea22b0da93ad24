"""Where the chosen weights of a matrix lie, and the cheapest product that gives their gradient.

Four forms, told from the positions alone: whole rows, whole columns, aligned square blocks, or single elements.
"""

from __future__ import annotations

import math
import warnings

import torch
from jaxtyping import Float, Int64
from torch import Tensor

GATHERED = 1 << 24
"""Elements of both factors that `Blocks` copies together at once: 64 MiB in fp32."""


class Rows:
    """Whole rows of a matrix."""

    def __init__(self, rows: Int64[Tensor, " rows"], shape: tuple[int, int]) -> None:
        self.rows, self.shape, self.device = rows, shape, rows.device

    def sample(
        self, left: Float[Tensor, "rows inner"], right: Float[Tensor, "inner columns"]
    ) -> Float[Tensor, " chosen"]:
        """Entries of `left @ right` at the chosen positions, fp32."""
        return (left[self.rows].float() @ right.float()).reshape(-1)

    def write(self, weight: Float[Tensor, "rows columns"], values: Float[Tensor, " chosen"]) -> None:
        """Put `values` into `weight` at the chosen positions."""
        weight.index_copy_(0, self.rows, values.view(-1, self.shape[1]))


class Columns:
    """Whole columns of a matrix."""

    def __init__(self, columns: Int64[Tensor, " columns"], shape: tuple[int, int]) -> None:
        self.columns, self.shape, self.device = columns, shape, columns.device

    def sample(
        self, left: Float[Tensor, "rows inner"], right: Float[Tensor, "inner columns"]
    ) -> Float[Tensor, " chosen"]:
        """Entries of `left @ right` at the chosen positions, fp32."""
        return (left.float() @ right[:, self.columns].float()).reshape(-1)

    def write(self, weight: Float[Tensor, "rows columns"], values: Float[Tensor, " chosen"]) -> None:
        """Put `values` into `weight` at the chosen positions."""
        weight.index_copy_(1, self.columns, values.view(self.shape[0], -1))


class Blocks:
    """Square blocks whose corners lie at multiples of their side; at the edges they may be cut.

    Args:
        flat: positions in the contiguous matrix, strictly increasing.
        shape: (rows, columns).
        side: of a block.
    """

    def __init__(self, flat: Int64[Tensor, " chosen"], shape: tuple[int, int], side: int) -> None:
        self.flat, self.side, self.device = flat, side, flat.device
        row, column = flat // shape[1], flat % shape[1]
        self.rows, row_slot = torch.unique(row, return_inverse=True)  # (used rows,), (chosen,)
        self.columns, column_slot = torch.unique(column, return_inverse=True)  # (used columns,), (chosen,)
        wide = -(-shape[1] // side)
        block, slot = torch.unique(row // side * wide + column // side, return_inverse=True)  # (blocks,), (chosen,)
        # Where the chosen weights fill much of the rows and columns that they use, one product over those is cheaper
        # than one for each block, and at most four times as large as what trains.
        self.crowded = 4 * len(flat) >= len(self.rows) * len(self.columns)
        if self.crowded:
            self.place = row_slot * len(self.columns) + column_slot  # (chosen,)
            return
        step = torch.arange(side, device=flat.device)
        # A cut block is filled up with the last row or column again; `place` leaves those products out.
        self.block_rows = (block // wide * side)[:, None].add(step).clamp(max=shape[0] - 1)  # (blocks, side)
        self.block_columns = (block % wide * side)[:, None].add(step).clamp(max=shape[1] - 1)  # (blocks, side)
        self.place = (slot * side + row % side) * side + column % side  # (chosen,)

    def sample(
        self, left: Float[Tensor, "rows inner"], right: Float[Tensor, "inner columns"]
    ) -> Float[Tensor, " chosen"]:
        """Entries of `left @ right` at the chosen positions, fp32."""
        if self.crowded:
            return (left[self.rows].float() @ right[:, self.columns].float()).reshape(-1)[self.place]
        at_once = max(1, GATHERED // max(1, 2 * self.side * left.shape[1]))
        products = []
        for rows, columns in zip(self.block_rows.split(at_once), self.block_columns.split(at_once), strict=True):
            ours = left[rows].float()  # (blocks, side, inner)
            theirs = right.T[columns].float()  # (blocks, side, inner)
            products.append(ours @ theirs.transpose(1, 2))  # (blocks, side, side)
        return torch.cat(products).reshape(-1)[self.place]

    def write(self, weight: Float[Tensor, "rows columns"], values: Float[Tensor, " chosen"]) -> None:
        """Put `values` into `weight` at the chosen positions."""
        weight.view(-1).index_copy_(0, self.flat, values)


class Elements:
    """Any positions, as compressed sparse rows.

    Rows and columns without a chosen weight are left out of the product: chosen weights crowd in some of them, and the
    sparse kernel copies both its factors whole.

    Args:
        flat: positions in the contiguous matrix, strictly increasing.
        shape: (rows, columns).
    """

    def __init__(self, flat: Int64[Tensor, " chosen"], shape: tuple[int, int]) -> None:
        self.flat, self.device = flat, flat.device
        self.row, self.column = flat // shape[1], flat % shape[1]
        self.rows, self.row_slot = torch.unique(self.row, return_inverse=True)  # (used rows,), (chosen,)
        self.columns, column_slot = torch.unique(self.column, return_inverse=True)  # (used columns,), (chosen,)
        counts = torch.bincount(self.row_slot, minlength=len(self.rows))
        # 32-bit indices are what the sparse kernels of MKL and cuSPARSE want.
        crow = torch.cat([counts.new_zeros(1), counts.cumsum(0)]).int()
        zeros = torch.zeros(len(flat), device=flat.device)
        with warnings.catch_warnings():
            # torch says once a process that CSR is in beta; the one operation used here is held by tests.
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            self.zeros = torch.sparse_csr_tensor(
                crow, column_slot.int(), zeros, (len(self.rows), len(self.columns)), check_invariants=False
            )
        self.every_row, self.every_column = len(self.rows) == shape[0], len(self.columns) == shape[1]

    def sample(
        self, left: Float[Tensor, "rows inner"], right: Float[Tensor, "inner columns"]
    ) -> Float[Tensor, " chosen"]:
        """Entries of `left @ right` at the chosen positions, fp32."""
        left = left if self.every_row else left[self.rows]
        # Rows of the transpose, so that the kernel finds the layout that it would copy to.
        right = right if self.every_column else right.T[self.columns].T
        product: Tensor = torch.sparse.sampled_addmm(self.zeros, left.float(), right.float(), beta=0.0)
        return product.values()

    def write(self, weight: Float[Tensor, "rows columns"], values: Float[Tensor, " chosen"]) -> None:
        """Put `values` into `weight` at the chosen positions."""
        weight.view(-1).index_copy_(0, self.flat, values)


Pattern = Rows | Columns | Blocks | Elements


def recognise(flat: Int64[Tensor, " chosen"], shape: tuple[int, int]) -> Pattern:
    """The densest form that the positions have: whole rows, whole columns, blocks of the largest side, elements.

    Args:
        flat: positions in the contiguous matrix, strictly increasing.
        shape: (rows, columns).
    """
    rows, columns = shape
    if len(flat) and len(flat) % columns == 0:
        first = flat[::columns]
        # They increase, so that between its own ends a row has room for nothing else.
        if bool(((first % columns == 0) & (flat[columns - 1 :: columns] - first == columns - 1)).all()):
            return Rows(first // columns, shape)
    if len(flat) and len(flat) % rows == 0:
        count = len(flat) // rows
        starts = columns * torch.arange(rows, device=flat.device)[:, None]
        if torch.equal(flat.view(rows, count), starts + flat[:count]):  # (rows, chosen columns)
            return Columns(flat[:count], shape)
    side = _side(flat, shape)
    return Blocks(flat, shape, side) if side > 1 else Elements(flat, shape)


def _side(flat: Int64[Tensor, " chosen"], shape: tuple[int, int]) -> int:
    """Side of the largest aligned square blocks that make up the positions; 1 where they are single elements.

    Chosen weights in a row stand in runs. Where every run in every row begins and ends at a multiple of n, and every
    run in every column too, a chosen weight brings its whole block along.
    """
    rows, columns = shape
    side = math.gcd(*_borders(flat, columns))
    if side > 1:
        transposed = (flat % columns * rows + flat // columns).sort().values
        side = math.gcd(side, *_borders(transposed, rows))
    return side


def _borders(flat: Int64[Tensor, " chosen"], columns: int) -> list[int]:
    """Columns at which runs of chosen weights begin or end, but for the matrix's own edge."""
    column = flat % columns
    apart = (flat.diff() != 1) | (column[1:] == 0)
    edge = apart.new_ones(min(1, len(flat)))
    ends = column[torch.cat([apart, edge])] + 1
    borders = torch.cat([column[torch.cat([edge, apart])], ends[ends < columns]])
    found: list[int] = torch.unique(borders).tolist()
    return found
