"""The selection of one configured job."""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import version
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zogan.data.batch import BatchSize, batch_size, bucketed
from zogan.progress import Progress, Silent
from zogan.select import select
from zogan.select.eligible import eligible
from zogan.sparse.selection import Selection
from zogan.tasks.balance import drawn_by, weighed, weights_of
from zogan.tasks.job import Job
from zogan.tasks.task import Batch

SALIENCY_EPOCH = 1 << 20
"""The saliency pass draws its batches as an epoch of its own, that no training reaches."""


@runtime_checkable
class Source(Protocol):
    """Where the saliency pass reads the training rows."""

    def batch(self, rows: list[int]) -> Batch:
        """The rows, collated."""

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Float[Tensor, ""], int]:
        """Sum of losses, and number of targets."""


def select_for(
    job: Job,
    model: nn.Module | None = None,
    *,
    source: Source | None = None,
    frozen: Collection[str] = (),
    progress: Progress = Silent(),
) -> Selection:
    """Choose the weights that the job's `select:` section asks for, on its training rows.

    Args:
        job: base, rows and task.
        model: the task's model, where it is in memory already; it is left as it was.
        source: of batches and their loss; the job's rows through the whole model where absent.
        frozen: parameters that may not be chosen, whatever `include` says.
        progress: who is told how far it is.

    Returns:
        The selection; its `meta` names criterion, density, allocation, pattern, seed, base, data and rows read, what
        the chosen weights of each tensor score together (`worth`) and, where more than matrices may be chosen, how
        many of each kind are (`parameters`).
    """
    settings, seed = job.config.select, job.config.train.seed
    model = model if model is not None else job.task.model(seed=seed, dtype=torch.float32)
    device = next(model.parameters()).device
    examples, order, weights = job.examples("train"), saliency_batches(job), weights_of(job)

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        total, targets = (source or job.task).loss(model, {name: tensor.to(device) for name, tensor in batch.items()})
        return total / targets

    chosen = select(
        model,
        (
            source.batch(rows) if source else weighed(job.task.collate([examples[row] for row in rows]), weights, rows)
            for rows in order
        ),
        criterion=settings.criterion,
        density=job.config.budget.density,
        allocation=settings.allocation,
        pattern=settings.pattern,
        block=settings.block,
        parameters=settings.parameters,
        loss=loss,
        include=settings.include,
        exclude=settings.exclude,
        whole=job.task.head(model),
        frozen=frozen,
        elsewhere=_elsewhere(job, model, frozen),
        seed=seed,
        progress=progress,
    )
    meta = {
        **chosen.meta,
        "base": job.base.fingerprint.whole,
        "data": job.splits.digest,
        "depth": "all" if job.config.budget.depth == "auto" else job.config.budget.depth,
        "rows": sum(len(rows) for rows in order),
        "zogan": version("zogan"),
    }
    return Selection(chosen.positions, chosen.shapes, chosen.whole, meta)


def saliency_batches(job: Job, size: BatchSize | None = None) -> list[list[int]]:
    """The rows of each batch of the job's saliency pass, all as training draws them.

    Args:
        job: rows and options.
        size: of a batch; that of training, without packing, where absent.
    """
    train = job.config.train
    size = size or batch_size(train.model_copy(update={"packing": False}))
    lengths = [len(example.ids) for example in job.examples("train")]
    order = bucketed(lengths, size, seed=train.seed, epoch=SALIENCY_EPOCH, classes=drawn_by(job))
    return order[: job.config.select.batches]


def _elsewhere(job: Job, model: nn.Module, frozen: Collection[str]) -> int:
    """Weights that could be chosen if nothing were frozen, and are not: of layers that need not even be in memory."""
    if not frozen:
        return 0
    settings, seed = job.config.select, job.config.train.seed

    def weights(model: nn.Module, but: Collection[str]) -> int:
        whole = {*job.task.head(model), *but}
        found = eligible(model, include=settings.include, exclude=settings.exclude, whole=whole)
        return sum(weight.numel() for weight in found.values())

    return weights(job.task.model(seed=seed, empty=True), ()) - weights(model, frozen)
