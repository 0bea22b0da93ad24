"""Which weights to change: criteria, one saliency pass, budget."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal

from zogan.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor, nn

    from zogan.config import ParameterKind, Pattern
    from zogan.sparse.selection import Selection


def select(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    criterion: str = "gradient",
    density: float = 0.005,
    allocation: Literal["global", "tensor", "row"] = "global",
    pattern: Pattern = "elements",
    block: int = 16,
    parameters: Iterable[ParameterKind] = ("matrices",),
    loss: Callable[[nn.Module, Any], Tensor] | None = None,
    include: str = ".*",
    exclude: str | None = None,
    whole: Iterable[str] = (),
    frozen: Iterable[str] = (),
    elsewhere: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Selection:
    """Choose the share of a model's weights that is most worth changing, in one pass over a few batches.

    Args:
        model: any `torch.nn.Module`; it is left as it was.
        batches: a few batches, such as `itertools.islice(loader, 8)`.
        criterion: gradient, relative, fisher, contribution, second_order, magnitude, movement, random, or one of an
            installed package.
        density: how much to choose: this share, 0 to 1, of the eligible matrices, of embeddings where they are asked
            for, and of what is elsewhere.
        allocation: the best over the whole model, in each tensor, or, of elements, in each output row.
        pattern: what is chosen as one: single weights, rows, columns, blocks, or channels and heads with all that is
            coupled to them. Whole units give hardware dense work.
        block: side of a block.
        parameters: kinds to choose from. Of `matrices` and `embeddings` elements are chosen; `biases` and `norms` train
            whole, all that the loss reaches, and as many fewer elements are chosen.
        loss: (model, batch) to the mean loss; `model(**batch).loss` where absent.
        include: regular expression over parameter names that may be chosen.
        exclude: regular expression over parameter names that may not.
        whole: parameters that shall train whole, such as a new head.
        frozen: parameters that may not be chosen nor train, whatever `include` says.
        elsewhere: number of weights, such as those of frozen layers, that may not be chosen and that `density` is a
            share of as well: fewer layers then change more of their weights.
        seed: of the random criterion.
        progress: who is told how far it is.

    Returns:
        The selection, for `zogan.attach`.

    Raises:
        ZoganError: no batch, a loss that is not finite, nothing that can be chosen, a share too small for one unit or
            for the vectors, a vector that is in memory in 16 bits, or a selection that is attached already.
    """
    from zogan.errors import ConfigError, ZoganError
    from zogan.select.criteria import find
    from zogan.select.eligible import pool_of
    from zogan.select.saliency import choose
    from zogan.sparse.layer import Sparse
    from zogan.sparse.selection import Selection

    if pattern != "elements" and allocation == "row":
        raise ConfigError(
            f"allocation 'row' is for pattern 'elements', not {pattern!r}",
            where="select.allocation",
            todo="Take global or tensor",
        )
    if block < 2:
        raise ConfigError(f"a block cannot have a side of {block}", where="select.block", todo="Take at least 2")
    if any(isinstance(module, Sparse) for module in model.modules()):
        raise ZoganError("a selection is attached already", todo="Call zogan.detach(model) first")
    whole = tuple(whole)
    pool = pool_of(model, parameters, include=include, exclude=exclude, whole={*whole, *frozen})
    if "embeddings" in pool.kinds and pattern != "elements":
        raise ConfigError(
            f"of embeddings single weights can be chosen, not {pattern!r}",
            where="select.parameters",
            todo="Take pattern elements, or leave embeddings out",
        )
    chosen = choose(
        model,
        batches,
        loss or (lambda model, batch: model(**batch).loss),
        find(criterion),
        weights=pool.weights,
        density=density,
        allocation=allocation,
        seed=seed,
        random=criterion == "random",
        elsewhere=elsewhere,
        pattern=pattern,
        block=block,
        counted=pool.counted,
        rowless=pool.tables,
        vectors=pool.vectors,
        progress=progress,
    )
    meta: dict[str, Any] = {
        **chosen.meta,
        "criterion": criterion,
        "density": density,
        "allocation": allocation,
        "pattern": pattern,
        "seed": seed,
    }
    if pattern == "blocks":
        meta["block"] = block
    if pool.kinds != ("matrices",):
        meta["parameters"] = pool.counts(chosen)
    return Selection(chosen.positions, chosen.shapes, (*whole, *chosen.whole), meta)
