"""Logits at labelled positions alone: the vocabulary's product is the dearest part of a small language model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from zogan.errors import ModelError
from zogan.tasks.task import IGNORED, Batch


def labelled_logits(
    model: nn.Module, batch: Batch
) -> tuple[Float[Tensor, "targets vocabulary"], Int64[Tensor, " targets"], Int64[Tensor, " targets"]]:
    """Run a causal model; form logits only where the next token is labelled.

    Args:
        model: a transformers causal language model.
        batch: with labels (rows, time), `IGNORED` where there is no loss.

    Returns:
        Logits in fp32, their target tokens, and the row of each.

    Raises:
        ModelError: the model has no output embeddings, or forms logits in a way of its own.
    """
    targets = batch["labels"][:, 1:]  # the token at t + 1 is predicted at t
    keep = torch.zeros_like(batch["labels"], dtype=torch.bool)
    keep[:, :-1] = targets != IGNORED
    with _only_at(model, keep):
        output = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False)
    logits: Tensor = output.logits  # (1, targets, vocabulary)
    rows = keep.nonzero()[:, 0]
    if logits.shape[:2] != (1, len(rows)):
        raise _unusual(model, f"its logits have shape {tuple(logits.shape)}")
    return logits[0].float(), targets[targets != IGNORED], rows


_LOGITS_AT_ONCE = 2**20
"""So many stay in the processor's cache from one pass over them to the next."""


def summed_cross_entropy(
    logits: Float[Tensor, "targets vocabulary"], targets: Int64[Tensor, " targets"]
) -> Float[Tensor, ""]:
    """Sum of the targets' cross-entropies, nats, as `torch.nn.functional.cross_entropy` has it.

    The gradient is formed along with the loss, some rows at once, in the one large buffer that is made; torch's own
    makes three of the logits' size and goes over memory for each step. It can be asked for once.
    """
    found: Tensor = _SummedCrossEntropy.apply(logits, targets)  # type: ignore[no-untyped-call]
    return found


class _SummedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        ctx.gradient = torch.empty_like(logits) if ctx.needs_input_grad[0] else None
        losses = torch.empty_like(logits[:, 0])
        rows = max(1, _LOGITS_AT_ONCE // max(1, logits.shape[1]))
        for start in range(0, len(logits), rows):
            part, wanted = logits[start : start + rows], targets[start : start + rows, None]
            total = part.logsumexp(dim=1, keepdim=True)  # (rows, 1)
            losses[start : start + rows] = (total - part.gather(1, wanted))[:, 0]
            if ctx.gradient is not None:  # softmax, less one at the target
                gradient = ctx.gradient[start : start + rows]
                torch.sub(part, total, out=gradient).exp_()
                gradient.scatter_add_(1, wanted, gradient.new_full((), -1.0).expand_as(wanted))
        return losses.sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        if ctx.gradient is None:
            raise RuntimeError("the gradient of summed_cross_entropy was taken already")
        gradient, ctx.gradient = ctx.gradient.mul_(grads[0]), None
        return gradient, None


@contextmanager
def _only_at(model: nn.Module, keep: Bool[Tensor, "rows time"]) -> Iterator[None]:
    """Inside, the output embeddings see the positions in `keep` alone.

    A hook on that one layer fits every architecture. It is outside all checkpointed blocks, so that it is not run
    again in backward; and it is gone afterwards, so that `generate` and the user's own forward are as ever.
    """
    inner = model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model
    output: Any = getattr(inner, "get_output_embeddings", lambda: None)()
    if not isinstance(output, nn.Module):
        raise ModelError(
            "no output embeddings", where=type(model).__name__, todo="Generation needs a causal language model"
        )

    def narrow(_: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden: Tensor = arguments[0]
        if hidden.shape[:2] != keep.shape:
            raise _unusual(model, f"its output embeddings were given shape {tuple(hidden.shape)}")
        return (hidden[keep].unsqueeze(0), *arguments[1:])  # (1, targets, dim)

    handle = output.register_forward_pre_hook(narrow)
    try:
        yield
    finally:
        handle.remove()


def _unusual(model: nn.Module, what: str) -> ModelError:
    return ModelError(
        f"forms its logits in a way of its own: {what}",
        where=type(model).__name__,
        todo="Use a causal model whose forward applies its output embeddings once",
    )
