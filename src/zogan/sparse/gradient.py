"""The gradient of just the chosen weights, per kind of layer. No dense gradient is formed."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable


class Pattern:
    """Chosen positions of a matrix of shape (rows, columns) as compressed sparse rows.

    Rows and columns without a chosen weight are left out of the product: chosen weights crowd in some of them, and the
    sparse kernel copies both its factors whole.

    Args:
        flat: positions in the contiguous matrix, strictly increasing.
        shape: (rows, columns).
    """

    def __init__(self, flat: Int64[Tensor, " chosen"], shape: tuple[int, int]) -> None:
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


def linear(pattern: Pattern, x: Tensor, grad: Tensor) -> Float[Tensor, " chosen"]:
    """`nn.Linear`: weight (out, in), y = x Wᵀ, dL/dW = gradᵀ x."""
    grad = grad.reshape(-1, grad.shape[-1])  # (tokens, out)
    x = x.reshape(-1, x.shape[-1])  # (tokens, in)
    return pattern.sample(grad.T, x)


def conv1d(pattern: Pattern, x: Tensor, grad: Tensor) -> Float[Tensor, " chosen"]:
    """GPT-2's `Conv1D`: weight (in, out), y = x W, dL/dW = xᵀ grad."""
    grad = grad.reshape(-1, grad.shape[-1])  # (tokens, out)
    x = x.reshape(-1, x.shape[-1])  # (tokens, in)
    return pattern.sample(x.T, grad)


def embedding(pattern: Pattern, ids: Tensor, grad: Tensor) -> Float[Tensor, " chosen"]:
    """`nn.Embedding`: weight (vocabulary, dim); only rows with a chosen weight are summed."""
    rows = pattern.rows  # (used rows,)
    ids = ids.reshape(-1)  # (tokens,)
    grad = grad.reshape(-1, grad.shape[-1]).float()  # (tokens, dim)
    place = torch.searchsorted(rows, ids).clamp(max=len(rows) - 1)
    hit = rows[place] == ids
    sums = grad.new_zeros(len(rows), grad.shape[-1]).index_add_(0, place[hit], grad[hit])  # (used rows, dim)
    return sums[pattern.row_slot, pattern.column]


class Tap(torch.autograd.Function):
    """Passes `y` through; on the way back hands the chosen weights their gradient.

    The layer's own forward keeps its dense product, dtype rules and bias; with its weight frozen autograd keeps no
    activation for it, so that `x`, kept here, is the only one.
    """

    @staticmethod
    def forward(ctx: Any, y: Tensor, values: Tensor, x: Tensor, pattern: Pattern, kernel: Any) -> Tensor:
        # `values` for their version alone: backward refuses where a step was taken since.
        ctx.save_for_backward(x, values)
        ctx.pattern, ctx.kernel, ctx.dtype = pattern, kernel, values.dtype
        return y.view_as(y)

    @staticmethod
    @once_differentiable  # `x` is kept apart from its graph: a second derivative would be wrong, and silently so
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (grad,) = grads
        x, _ = ctx.saved_tensors
        chosen = ctx.kernel(ctx.pattern, x, grad).to(ctx.dtype) if ctx.needs_input_grad[1] else None
        return grad, chosen, None, None, None
