"""One pass over a few batches: each gradient is folded into the candidates as it comes, and freed at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zogan.config import ParameterKind
from zogan.errors import ConfigError, ZoganError
from zogan.progress import Progress, Silent
from zogan.select.candidates import Candidates
from zogan.select.criteria import Criterion
from zogan.select.folding import folding
from zogan.select.grids import grids_of
from zogan.select.units import Units, at_least
from zogan.sparse.gradient import conv1d
from zogan.sparse.layer import kernel_of
from zogan.sparse.selection import Selection

Loss = Callable[[nn.Module, Any], Tensor]
"""(model, batch) to the batch's mean loss."""


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
    counted: Collection[str] = (),
    rowless: Collection[str] = (),
    vectors: Mapping[ParameterKind, Mapping[str, nn.Parameter]] | None = None,
    progress: Progress | None = None,
) -> Selection:
    """Score the weights and choose the best share: vectors whole, and as many elements as they leave.

    Each module's mode, gradients and `requires_grad` flags are as before afterwards. The pass runs in evaluation mode,
    so that no dropout blurs the scores.

    Args:
        model: any module.
        batches: the data, one pass.
        loss: what one batch gives.
        criterion: how weights are scored.
        weights: parameter name to parameter, all of which the share is one, each with rows and columns.
        density: how many to choose: this share, 0 to 1, of those weights and of what is elsewhere; all of them at most.
        allocation: `global`, `tensor` or, of elements, `row`.
        seed: of the `random` criterion.
        random: whether scores are drawn at random.
        elsewhere: number of weights that may not be chosen, and that the share is of as well.
        pattern: `elements`, `rows`, `columns`, `blocks` or `coupled`.
        block: side of a block.
        counted: names of those weights of which no element may be chosen.
        rowless: names of those whose rows are no neurons: of these `row` is `tensor`.
        vectors: by kind, parameter name to parameter: those that the loss reaches are all chosen.
        progress: who is told how far it is.

    Returns:
        Positions of all weights that the loss reaches, perhaps none; vectors are `whole`.

    Raises:
        ZoganError: no batch, a loss or a gradient that is not finite, no weight that the loss reaches, or a share in
            which the vectors, or one unit of the pattern beside them, do not fit.
    """
    progress, vectors = progress or Silent(), vectors or {}
    batches = list(batches)
    if not batches:
        raise ZoganError("the saliency pass needs at least one batch")
    if criterion.fold is None:
        # One batch still says which weights the loss reaches at all.
        batches = batches[:1]
    touched: dict[str, nn.Parameter] = {}
    shapes = {name: (w.shape[0], w.shape[1]) for name, w in weights.items()}
    free = {name: shape for name, shape in shapes.items() if name not in counted}
    candidates: Candidates | Units
    if pattern == "elements":
        candidates = Candidates(free, _count(shapes, elsewhere, density), allocation, criterion.score, rowless=rowless)
    else:
        grids = grids_of(model, free, pattern=pattern, block=block)
        candidates = Units(grids, free, _count(shapes, elsewhere, density), allocation, criterion.score)
    sums: dict[str, Tensor] = {}
    parameters = {name: p for group in (weights, *vectors.values()) for name, p in group.items()}

    def take(name: str, folded: Tensor | None) -> None:
        touched[name] = parameters[name]
        if folded is None:
            return
        if name in free:
            candidates.add(name, _matrix(folded))
        else:  # batch by batch as the elements' scores are, so that they can be added up
            folded = folded if pattern == "elements" else criterion.score(folded)
            sums[name] = sums[name] + folded if name in sums else folded

    score(model, batches, loss, criterion, parameters, take, unscored=counted, progress=progress)
    # What the loss never reaches (an unused pooler) is not chosen, and counts in no share.
    shapes = {name: shapes[name] for name in sorted(shapes) if name in touched}
    free = {name: shape for name, shape in shapes.items() if name in free}
    whole = {kind: {name: p for name, p in group.items() if name in touched} for kind, group in vectors.items()}
    sizes = {kind: sum(p.numel() for p in group.values()) for kind, group in whole.items()}
    if not shapes or not (free or any(sizes.values())):
        raise ZoganError("the loss reaches none of the weights that may be chosen", where="select")
    left = _count(shapes, elsewhere, density) - sum(sizes.values())
    if left < 0:
        _refuse(sizes, shapes, elsewhere, density)
    positions = dict.fromkeys(shapes, torch.empty(0, dtype=torch.int64))
    worth: dict[str, float] = {}
    if free:
        if isinstance(candidates, Units):
            candidates.narrow(free, left, beside=sum(sizes.values()))
        else:
            candidates.narrow(free, left)
        if criterion.fold is None:
            add_without_gradient(candidates, {name: touched[name] for name in free}, seed if random else None)
        best = candidates.choose()
        worth |= candidates.worth(best)
        positions |= {name: flat.cpu() for name, flat in best.items()}
    for name, total in sums.items():
        worth[name] = float((criterion.score(total) if pattern == "elements" else total).sum(dtype=torch.float64))
    sides = {name: tuple(p.shape) for group in whole.values() for name, p in group.items()}
    return Selection(
        positions,
        {**shapes, **{name: sides[name] for name in sorted(sides)}},
        tuple(sorted(sides)),
        meta={"worth": {name: float(f"{worth[name]:.4g}") for name in sorted(worth)}},
    )


def score(
    model: nn.Module,
    batches: Sequence[Any],
    loss: Loss,
    criterion: Criterion,
    parameters: Mapping[str, nn.Parameter],
    take: Callable[[str, Tensor | None], None],
    *,
    unscored: Collection[str] = (),
    progress: Progress,
) -> None:
    """Run batches forward and backward, and give away what the criterion makes of each gradient as it comes.

    The model is left as it was; see `zogan.select.folding.folding`.

    Args:
        model: any module, also one with a selection attached.
        batches: the data, one pass.
        loss: what one batch gives.
        criterion: how weights are scored.
        parameters: by name, those that count.
        take: is given a parameter's name and what is to be added to its sums, fp32, of its shape; None where nothing
            is.
        unscored: names of those of which it is only told that the loss reaches them.
        progress: who is told how far it is.

    Raises:
        ZoganError: a loss or a gradient is not finite.
    """
    names = {parameter: name for name, parameter in parameters.items()}
    lying = {module.weight for module in model.modules() if kernel_of(module) is conv1d}

    def fold(parameter: nn.Parameter, grad: Tensor | None) -> None:
        name = names[parameter]
        if criterion.fold is None or grad is None or name in unscored:
            take(name, None)
            return
        with torch.no_grad():
            # In fp32: the square of a small fp16 gradient would be 0.
            weight, gradient = parameter.float(), grad.float()
            # A criterion may look along input features: those are the rows of a Conv1D.
            turned = parameter in lying
            folded = criterion.fold(weight.T, gradient.T).T if turned else criterion.fold(weight, gradient)
            if not torch.isfinite(folded.sum()):  # one pass, and no copy: what is not finite stays so in the sum
                raise ZoganError("a gradient is not finite", where=name, todo="Check the rows, or load it in fp32")
            take(name, folded)

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


def _count(shapes: Mapping[str, tuple[int, int]], elsewhere: int, density: float) -> int:
    here = sum(rows * columns for rows, columns in shapes.values())
    # Rounded down: a share is a promise.
    return max(1, min(here, int(density * (here + elsewhere))))


def _refuse(
    sizes: Mapping[ParameterKind, int], shapes: Mapping[str, tuple[int, int]], elsewhere: int, density: float
) -> None:
    """Vectors do not fit into the share.

    Raises:
        ConfigError: with what would fit.
    """
    total = elsewhere + sum(rows * columns for rows, columns in shapes.values())
    count, vectors = _count(shapes, elsewhere, density), sum(sizes.values())
    counts = " and ".join(f"{size:,} of {kind}" for kind, size in sizes.items() if size)
    ways = [f"take at least {at_least((vectors + 1) / total)}"] if vectors < total else []
    ways += [f"of these {kind} alone" for kind, size in sizes.items() if 0 < size <= count]
    todo = ", or ".join(ways or ["leave them out of select.parameters"])
    raise ConfigError(
        f"{count:,} of {total:,} weights may change, and vectors that train whole hold {counts}",
        where="budget.density",
        todo=todo[0].upper() + todo[1:],
    )


def _matrix(folded: Tensor) -> Tensor:
    return folded.reshape(folded.shape[0], -1)


def add_without_gradient(candidates: Candidates | Units, weights: Mapping[str, nn.Parameter], seed: int | None) -> None:
    """Score by the weights themselves, or at random where there is a seed."""
    generator = torch.Generator().manual_seed(seed or 0)
    if seed is not None and isinstance(candidates, Units):
        candidates.draw(generator)
        return
    for name in sorted(weights):
        weight = weights[name].detach()
        scored = weight if seed is None else torch.rand(weight.shape, generator=generator).to(weight.device)
        candidates.add(name, _matrix(scored))
