"""Cross-entropy of each target, with its gradient formed along with it, piece by piece.

torch's own keeps three buffers of the logits' size and goes over memory for each step. The vocabulary of a language
model makes these the largest tensors of its training by far.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable

_IN_CACHE = 2**20
"""So many logits stay in the processor's cache from one pass over them to the next."""

_IN_MEMORY = 2**24
"""So many logits are formed at once: 64 MB in fp32, and yet rows enough for a product at full speed."""

_HALF_SCALE = 2.0**10
"""What keeps small probabilities above fp16's least number; a power of two, so that nothing is rounded."""


def linear_cross_entropies(
    hidden: Float[Tensor, "targets dim"],
    weight: Float[Tensor, "vocabulary dim"],
    bias: Float[Tensor, " vocabulary"] | None,
    targets: Int64[Tensor, " targets"],
    smoothing: float = 0.0,
) -> Float[Tensor, " targets"]:
    """Cross-entropies of `nn.functional.linear(hidden, weight, bias)`, nats, fp32, without all its logits.

    A piece of the logits is formed, made into its own gradient in place, and folded into that of `hidden`
    (arXiv:2410.10989, section 3.2): one product forward and one back, both here. Backward only scales; it can be asked
    for once. Under autocast the products are in its dtype. `smoothing` is as in `cross_entropies`.

    Raises:
        ValueError: `weight` or `bias` is to be trained; they are given no gradient here.
    """
    if torch.is_grad_enabled() and (weight.requires_grad or (bias is not None and bias.requires_grad)):
        raise ValueError("the weight and bias of linear_cross_entropies must be frozen")
    found: Tensor = _LinearCrossEntropies.apply(hidden, weight, bias, targets, smoothing)  # type: ignore[no-untyped-call]
    return found


def cross_entropies(
    logits: Float[Tensor, "targets vocabulary"], targets: Int64[Tensor, " targets"], smoothing: float = 0.0
) -> Float[Tensor, " targets"]:
    """Cross-entropies as `nn.functional.cross_entropy(..., reduction="none")` has them, in one buffer.

    The gradient can be asked for once. `smoothing` is the share of a target that is spread over the whole vocabulary
    (arXiv:1512.00567, section 7), 0 to 1.
    """
    found: Tensor = _CrossEntropies.apply(logits, targets, smoothing)  # type: ignore[no-untyped-call]
    return found


class _LinearCrossEntropies(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, smoothing: float
    ) -> Tensor:
        device, dtype = hidden.device.type, weight.dtype
        if torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)
        losses = hidden.new_empty(len(hidden), dtype=torch.float32)
        ctx.gradient = torch.empty_like(hidden, dtype=torch.float32) if ctx.needs_input_grad[0] else None
        ctx.dtype = hidden.dtype
        with torch.autocast(device, enabled=False):
            x, weight = hidden.to(dtype), weight.to(dtype)  # once, and not in each piece
            rows = max(1, _IN_MEMORY // max(1, len(weight)))
            buffer = x.new_empty(min(rows, len(x)), len(weight))  # (rows, vocabulary), the one that is made
            for start in range(0, len(x), rows):
                here = slice(start, start + rows)
                logits = buffer[: len(x[here])]
                torch.mm(x[here], weight.T, out=logits)
                if bias is not None:
                    logits.add_(bias)
                _fill(losses[here], logits, targets[here], logits if ctx.gradient is not None else None, smoothing)
                if ctx.gradient is not None:
                    ctx.gradient[here] = logits @ weight  # (rows, dim)
            if ctx.gradient is not None and dtype == torch.float16:
                ctx.gradient.div_(_HALF_SCALE)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return _taken(ctx).mul_(grads[0][:, None]).to(ctx.dtype), None, None, None, None


class _CrossEntropies(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        # Apart from the logits, which what made them may need in its own backward.
        ctx.gradient = torch.empty_like(logits) if ctx.needs_input_grad[0] else None
        losses = torch.empty_like(logits[:, 0])
        _fill(losses, logits, targets, ctx.gradient, smoothing)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return _taken(ctx).mul_(grads[0][:, None]), None, None


def _fill(losses: Tensor, logits: Tensor, targets: Tensor, gradient: Tensor | None, smoothing: float = 0.0) -> None:
    """Write the losses, and the gradient of each by its logits; `gradient` may be the logits themselves.

    In fp16 the gradient is `_HALF_SCALE` times as large.
    """
    rows = max(1, _IN_CACHE // max(1, logits.shape[1]))
    for start in range(0, len(logits), rows):
        here = slice(start, start + rows)
        part, wanted = logits[here].float(), targets[here, None]
        total = part.logsumexp(dim=1, keepdim=True)  # (rows, 1)
        losses[here] = (total - part.gather(1, wanted))[:, 0]
        if smoothing:  # of the target's logit some part is the mean of all
            losses[here] += smoothing * (part.gather(1, wanted)[:, 0] - part.mean(dim=1))
        if gradient is None:
            continue
        plain = gradient.dtype == part.dtype
        found = torch.sub(part, total, out=gradient[here] if plain else part).exp_()
        if smoothing:
            found.sub_(smoothing / logits.shape[1])
        # Softmax, less what the targets are: one at the target, where nothing is smoothed.
        found.scatter_add_(1, wanted, found.new_full((), smoothing - 1.0).expand_as(wanted))
        if not plain:
            gradient[here] = found.mul_(_HALF_SCALE) if gradient.dtype == torch.float16 else found


def _taken(ctx: Any) -> Tensor:
    """The gradient that forward formed, which backward may overwrite."""
    gradient: Tensor | None
    gradient, ctx.gradient = ctx.gradient, None
    if gradient is None:
        raise RuntimeError("the gradient of the cross-entropies was taken already")
    return gradient
