"""Where gradient is left over once the chosen weights are trained: outside of them, by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from zogan.errors import ZoganError
from zogan.models.cut import Cut, stacks
from zogan.progress import Progress
from zogan.select.folding import folding
from zogan.sparse.layer import Sparse
from zogan.tasks.inference import to_device
from zogan.train.loop import Feed


def layers_above(model: nn.Module, cut: Cut | None) -> dict[str, nn.Module]:
    """The layers that run in every step, by name from the lowest up.

    Those of the stack, from the cut on where there is one. A model without a stack is one layer.
    """
    if cut is not None:
        return {f"{cut.stack}.{place}": cut.layers[place] for place in range(cut.index, len(cut.layers))}
    for name, layers in stacks(model).items():
        return {f"{name}.{place}": layer for place, layer in enumerate(layers)}
    return {type(model).__name__: model}


def left_over(
    model: nn.Module,
    feed: Feed,
    matrices: Mapping[str, Sequence[nn.Module]],
    batches: Sequence[list[int]],
    *,
    running: Callable[[], AbstractContextManager[object]],
    progress: Progress,
) -> dict[str, float]:
    """Squared gradient of the weights that were not chosen, summed over batches, by layer.

    Each gradient is taken in as it comes and freed at once, so that one is in memory at a time. The pass runs in
    evaluation mode; modes, gradients and `requires_grad` flags are as before afterwards.

    Args:
        model: with the chosen weights attached.
        feed: of the training rows.
        matrices: layer to those of its modules that count.
        batches: places of rows.
        running: gives the context in which the loss is computed.
        progress: who is told how far it is.

    Raises:
        ZoganError: a loss or a gradient is not finite.
    """
    found = dict.fromkeys(matrices, 0.0)
    owners = {
        module.get_parameter("weight"): (layer, module) for layer, modules in matrices.items() for module in modules
    }

    def fold(parameter: nn.Parameter, grad: Tensor | None) -> None:
        layer, module = owners[parameter]
        if grad is None:
            return
        flat = grad.detach().float().reshape(-1)  # in fp32: the square of a small fp16 gradient would be 0
        if isinstance(module, Sparse):
            flat[module.chosen] = 0.0
        norm = float(torch.linalg.vector_norm(flat))
        if norm != norm or norm == float("inf"):
            raise ZoganError("a gradient is not finite", where=layer, todo="Check the rows, or load it in fp32")
        found[layer] += norm**2

    device = next(model.parameters()).device
    progress.start("left over", len(batches))
    with folding(model, owners, fold):
        for done, rows in enumerate(batches, start=1):
            batch = to_device(feed.batch(rows), device)
            with running():
                total, targets = feed.loss(model, batch)
            if not torch.isfinite(total):
                raise ZoganError(f"the loss is {total.item()}", where="adapters", todo="Lower train.rate")
            (total / targets).backward()  # type: ignore[no-untyped-call]
            progress.advance(done)
    return found
