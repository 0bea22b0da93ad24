"""One pass over a few batches: each gradient is folded into the candidates as it comes, and freed at once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from zogan.errors import ConfigError, ZoganError
from zogan.progress import Progress, Silent
from zogan.select.candidates import Candidates
from zogan.select.criteria import Criterion
from zogan.select.folding import folding
from zogan.select.grids import grids_of
from zogan.select.units import Units
from zogan.sparse.gradient import conv1d
from zogan.sparse.layer import is_matrix, kernel_of
from zogan.sparse.selection import Selection

Loss = Callable[[nn.Module, Any], Tensor]
"""(model, batch) to the batch's mean loss."""


def eligible(
    model: nn.Module, *, include: str = ".*", exclude: str | None = None, whole: Iterable[str] = ()
) -> dict[str, nn.Parameter]:
    """Weights that may be chosen: matrices of dense layers, without embeddings and tied weights.

    Raises:
        ConfigError: a pattern is no regular expression, or nothing matches.
    """
    try:
        wanted, unwanted = re.compile(include), re.compile(exclude) if exclude else None
    except re.error as error:
        raise ConfigError(f"no regular expression: {error}", where="select.include or select.exclude") from None
    uses = Counter(id(p) for module in model.modules() for p in module._parameters.values() if p is not None)
    whole, found = set(whole), {}
    for path, module in model.named_modules():
        name = f"{path}.weight" if path else "weight"
        if not is_matrix(module) or name in whole:
            continue
        weight = module.weight
        if not isinstance(weight, nn.Parameter) or uses[id(weight)] > 1:
            continue
        if wanted.search(name) and not (unwanted and unwanted.search(name)):
            found[name] = weight
    if not found:
        raise ConfigError(
            f"no weight matches include={include!r}, exclude={exclude!r}",
            where="select",
            todo="Only matrices of linear layers that are not tied can be chosen",
        )
    return found


def choose(
    model: nn.Module,
    batches: Iterable[Any],
    loss: Loss,
    criterion: Criterion,
    *,
    weights: Mapping[str, nn.Parameter],
    density: float,
    allocation: str,
    seed: int,
    random: bool,
    elsewhere: int = 0,
    pattern: str = "elements",
    block: int = 16,
    progress: Progress | None = None,
) -> Selection:
    """Score the weights and choose the best share.

    Each module's mode, gradients and `requires_grad` flags are as before afterwards. The pass runs in evaluation mode,
    so that no dropout blurs the scores.

    Args:
        model: any module.
        batches: the data, one pass.
        loss: what one batch gives.
        criterion: how weights are scored.
        weights: parameter name to parameter, all that may be chosen.
        density: how many to choose: this share, 0 to 1, of those weights and of what is elsewhere; all of them at most.
        allocation: `global`, `tensor` or, of elements, `row`.
        seed: of the `random` criterion.
        random: whether scores are drawn at random.
        elsewhere: number of weights that may not be chosen, and that the share is of as well.
        pattern: `elements`, `rows`, `columns`, `blocks` or `coupled`.
        block: side of a block.

    Raises:
        ZoganError: no batch, a loss or a gradient that is not finite, no weight that the loss reaches, or a share in
            which not one unit of the pattern fits.
    """
    progress = progress or Silent()
    batches = list(batches)
    if not batches:
        raise ZoganError("the saliency pass needs at least one batch")
    if criterion.fold is None:
        # One batch still says which weights the loss reaches at all.
        batches = batches[:1]
    touched: dict[str, nn.Parameter] = {}
    shapes = {name: (w.shape[0], w.shape[1]) for name, w in weights.items()}
    candidates: Candidates | Units
    if pattern == "elements":
        candidates = Candidates(shapes, _count(shapes, elsewhere, density), allocation, criterion.score)
    else:
        grids = grids_of(model, shapes, pattern=pattern, block=block)
        candidates = Units(grids, shapes, _count(shapes, elsewhere, density), allocation, criterion.score)
    names = {parameter: name for name, parameter in weights.items()}
    lying = {module.weight for module in model.modules() if kernel_of(module) is conv1d}

    def fold(parameter: nn.Parameter, grad: Tensor | None) -> None:
        name = names[parameter]
        touched[name] = parameter
        if criterion.fold is not None and grad is not None:
            with torch.no_grad():
                # In fp32: the square of a small fp16 gradient would be 0.
                weight, gradient = parameter.float(), grad.float()
                # A criterion may look along input features: those are the rows of a Conv1D.
                turned = parameter in lying
                folded = criterion.fold(weight.T, gradient.T).T if turned else criterion.fold(weight, gradient)
                if not torch.isfinite(folded.sum()):  # one pass, and no copy: what is not finite stays so in the sum
                    raise ZoganError("a gradient is not finite", where=name, todo="Check the rows, or load it in fp32")
                candidates.add(name, _matrix(folded))

    progress.start("select", len(batches))
    with folding(model, names, fold):
        for done, batch in enumerate(batches, start=1):
            value = loss(model, batch)
            if not torch.isfinite(value):
                raise ZoganError(f"the loss of batch {done} is {value.item()}", where="select", todo="Check the rows")
            if not value.requires_grad:
                break
            value.backward()  # type: ignore[no-untyped-call]
            progress.advance(done, loss=value.item())
    if not touched:
        raise ZoganError("the loss reaches none of the weights that may be chosen", where="select")
    if len(touched) < len(shapes):
        # Weights that the loss never reaches (an unused pooler) count neither as candidates nor in the share.
        shapes = {name: shapes[name] for name in sorted(touched)}
        candidates.narrow(shapes, _count(shapes, elsewhere, density))
    if criterion.fold is None:
        _add_without_gradient(candidates, touched, seed if random else None)
    positions = candidates.choose()
    worth = candidates.worth(positions)
    return Selection(
        {name: flat.cpu() for name, flat in positions.items()},
        {name: shapes[name] for name in sorted(shapes)},
        meta={"worth": {name: float(f"{worth[name]:.4g}") for name in sorted(worth)}},
    )


def _count(shapes: Mapping[str, tuple[int, int]], elsewhere: int, density: float) -> int:
    here = sum(rows * columns for rows, columns in shapes.values())
    # Rounded down: a share is a promise.
    return max(1, min(here, int(density * (here + elsewhere))))


def _matrix(folded: Tensor) -> Tensor:
    return folded.reshape(folded.shape[0], -1)


def _add_without_gradient(
    candidates: Candidates | Units, weights: Mapping[str, nn.Parameter], seed: int | None
) -> None:
    """Score by the weights themselves, or at random where there is a seed."""
    generator = torch.Generator().manual_seed(seed or 0)
    if seed is not None and isinstance(candidates, Units):
        candidates.draw(generator)
        return
    for name in sorted(weights):
        weight = weights[name].detach()
        scored = weight if seed is None else torch.rand(weight.shape, generator=generator).to(weight.device)
        candidates.add(name, _matrix(scored))
