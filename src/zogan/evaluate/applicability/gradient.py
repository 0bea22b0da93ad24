"""How concentrated the gradient is: whether a small share of the weights can move the loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zogan.progress import Progress
from zogan.select.candidates import Candidates
from zogan.select.criteria import CRITERIA
from zogan.select.eligible import eligible
from zogan.select.job import saliency_batches
from zogan.select.saliency import score
from zogan.tasks.inference import to_device
from zogan.tasks.job import Job
from zogan.tasks.task import Batch

TOP = (0.001, 0.005, 0.01)
"""Shares of the weights, 0 to 1, of which it is told how much of the squared gradient they hold."""


@dataclass(frozen=True)
class Concentration:
    """Where the squared gradient lies.

    Attributes:
        shares: of the squared gradient, 0 to 1, in the top weights: one for each of `TOP`.
        weights: that the loss reaches, of the matrices that may be chosen.
        rows: that were read.
    """

    shares: tuple[float, ...]
    weights: int
    rows: int


def concentration(job: Job, model: nn.Module, progress: Progress) -> Concentration:
    """The share of the squared gradient in the top weights, by the batches and the pass that weights are chosen by.

    Squares of each batch's gradient are summed, as the Fisher criterion does (arXiv:2111.09839, eq. 3). Memory is that
    of a selection: of each tensor only candidates are kept, the sum over all is exact.

    Args:
        job: rows and options.
        model: the task's; a new head is fitted already, so that what it can learn by itself is not in the gradient.
        progress: told of batches.

    Raises:
        ZoganError: a loss or a gradient is not finite.
    """
    settings, task, device = job.config.select, job.task, next(model.parameters()).device
    weights = eligible(model, include=settings.include, exclude=settings.exclude, whole=task.head(model))
    examples, order = job.examples("train"), saliency_batches(job)
    fisher = CRITERIA["fisher"]
    shapes = {name: (weight.shape[0], weight.shape[1]) for name, weight in weights.items()}
    most = max(1, int(max(TOP) * sum(rows * columns for rows, columns in shapes.values())))
    candidates = Candidates(shapes, most, "global", fisher.score)
    sums: dict[str, float] = {}

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        total, targets = task.loss(model, to_device(batch, device))
        return total / targets

    def take(name: str, folded: Tensor | None) -> None:
        if folded is not None:
            sums[name] = sums.get(name, 0.0) + float(folded.sum(dtype=torch.float64))
            candidates.add(name, folded.reshape(folded.shape[0], -1))

    batches = [task.collate([examples[row] for row in rows]) for rows in order]
    score(model, batches, loss, fisher, weights, take, progress=progress)
    held = torch.cat([one.sums for one in candidates.held.values()]).sort(descending=True).values
    reached = sum(weights[name].numel() for name in sums)
    total = sum(sums.values())
    counts = [max(1, int(share * reached)) for share in TOP]
    shares = tuple(float(held[:count].sum(dtype=torch.float64)) / total if total else 0.0 for count in counts)
    return Concentration(shares, reached, sum(map(len, order)))
