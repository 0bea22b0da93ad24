"""The loss at labelled positions alone: the vocabulary's product is the dearest part of a small language model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from zogan.errors import ModelError
from zogan.tasks.cross_entropy import cross_entropies, linear_cross_entropies
from zogan.tasks.task import IGNORED, Batch

_INPUTS = ("input_ids", "attention_mask", "position_ids")


def labelled_losses(
    model: nn.Module, batch: Batch, smoothing: float = 0.0
) -> tuple[Float[Tensor, " targets"], Int64[Tensor, " targets"]]:
    """Run a causal model; the cross-entropy of each labelled token.

    Where the output embeddings do not train, and the model hands on what they give as its logits, the losses are
    formed in their place, and the logits are never in memory as a whole. Otherwise they are, at labelled positions.

    Args:
        model: a transformers causal language model.
        batch: with labels (rows, time), `IGNORED` where there is no loss.
        smoothing: share of each target that is spread over the vocabulary, 0 to 1.

    Returns:
        Losses in nats, fp32, and the row of each.

    Raises:
        ModelError: the model has no output embeddings, or forms logits in a way of its own.
    """
    output = _output_embeddings(model)
    if not (_is_plain(output) and _hands_on(model, output, batch)):
        logits, targets, rows = labelled_logits(model, batch)
        return cross_entropies(logits, targets, smoothing), rows
    keep, targets = _labelled(batch)

    def losses(hidden: Tensor) -> Tensor:
        found = linear_cross_entropies(_at(model, hidden, keep), output.weight, output.bias, targets, smoothing)
        return found[None, :, None]  # (1, targets, 1), in the place of (1, targets, vocabulary)

    with _forward(output, losses):
        given: Tensor = _run(model, batch).logits
    rows = keep.nonzero()[:, 0]
    if given.shape != (1, len(rows), 1):
        raise _unusual(model, f"its logits have shape {tuple(given.shape)}")
    return given[0, :, 0], rows


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
    keep, targets = _labelled(batch)

    def narrow(_: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return (_at(model, arguments[0], keep).unsqueeze(0), *arguments[1:])  # (1, targets, dim)

    # A hook on that one layer fits every architecture. It is outside all checkpointed blocks, so that it is not run
    # again in backward; and it is gone afterwards, so that `generate` and the user's own forward are as ever.
    handle = _output_embeddings(model).register_forward_pre_hook(narrow)
    try:
        logits: Tensor = _run(model, batch).logits  # (1, targets, vocabulary)
    finally:
        handle.remove()
    rows = keep.nonzero()[:, 0]
    if logits.shape[:2] != (1, len(rows)):
        raise _unusual(model, f"its logits have shape {tuple(logits.shape)}")
    return logits[0].float(), targets, rows


_HANDED_ON: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
"""Whether a model hands on what its output embeddings give; asked once of each."""


def _hands_on(model: nn.Module, output: Any, batch: Batch) -> bool:
    """Whether the model's logits are just what its output embeddings give: some scale or cap them afterwards.

    Told by what becomes of a mark in their place; casts keep it as it is.
    """
    inner = _inner(model)
    if inner not in _HANDED_ON:
        device = batch["input_ids"].device
        marks = torch.arange(2 * output.out_features, device=device).mul(37).remainder(201).sub(100)  # -100 to 100
        mark = marks.float().reshape(1, 2, -1)  # (1, 2, vocabulary)
        devices = [device] if device.type == "cuda" else []
        with torch.no_grad(), torch.random.fork_rng(devices), _forward(output, lambda hidden: mark.clone()):
            logits = _run(inner, batch).logits
        _HANDED_ON[inner] = logits.shape == mark.shape and bool((logits.float() == mark).all())
    return _HANDED_ON[inner]


def _is_plain(output: nn.Module) -> bool:
    """Whether the layer is a product with frozen factors and nothing besides."""
    if type(output) is not nn.Linear or "forward" in vars(output):
        return False
    hooks = (output._forward_hooks, output._forward_pre_hooks, output._backward_hooks, output._backward_pre_hooks)
    trains = torch.is_grad_enabled() and any(parameter.requires_grad for parameter in output.parameters())
    return not trains and not any(hooks)


@contextmanager
def _forward(module: nn.Module, forward: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Inside, the module computes something else."""
    vars(module)["forward"] = forward
    try:
        yield
    finally:
        del vars(module)["forward"]


def _labelled(batch: Batch) -> tuple[Bool[Tensor, "rows time"], Int64[Tensor, " targets"]]:
    """Where the next token is labelled, and that token."""
    targets = batch["labels"][:, 1:]  # the token at t + 1 is predicted at t
    keep = torch.zeros_like(batch["labels"], dtype=torch.bool)
    keep[:, :-1] = targets != IGNORED
    return keep, targets[targets != IGNORED]


def _at(model: nn.Module, hidden: Tensor, keep: Bool[Tensor, "rows time"]) -> Float[Tensor, "targets dim"]:
    if hidden.shape[:2] != keep.shape:
        raise _unusual(model, f"its output embeddings were given shape {tuple(hidden.shape)}")
    return hidden[keep]


def _run(model: nn.Module, batch: Batch) -> Any:
    return model(**{name: batch[name] for name in _INPUTS if name in batch}, use_cache=False)


def _output_embeddings(model: nn.Module) -> Any:
    output = getattr(_inner(model), "get_output_embeddings", lambda: None)()
    if not isinstance(output, nn.Module):
        raise ModelError(
            "no output embeddings", where=type(model).__name__, todo="Generation needs a causal language model"
        )
    return output


def _inner(model: nn.Module) -> nn.Module:
    return model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model


def _unusual(model: nn.Module, what: str) -> ModelError:
    return ModelError(
        f"forms its logits in a way of its own: {what}",
        where=type(model).__name__,
        todo="Use a causal model whose forward applies its output embeddings once",
    )
