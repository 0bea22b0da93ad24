"""The gradient of just the chosen weights, per kind of layer. No dense gradient is formed."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from zogan.sparse.pattern import Elements, Pattern


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


def embedding(pattern: Elements, ids: Tensor, grad: Tensor) -> Float[Tensor, " chosen"]:
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
