"""The head alone for a while, before what trains in the body joins in: linear probing, then fine-tuning (LP-FT).

A random head's gradient moves features that were good before the head has learnt to read them; a head that already
reads them lets the body stay where it is right (Kumar et al. 2022, arXiv:2202.10054). The body does not run here, let
alone train: all that the head needs are the features of each row, which are there.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from zogan.data.batch import batch_size, bucketed
from zogan.errors import ZoganError
from zogan.progress import Progress
from zogan.tasks.balance import drawn_by, weighed, weights_of
from zogan.tasks.classification import Classification
from zogan.tasks.classifier import Classifier
from zogan.tasks.job import Job
from zogan.train.loop import schedule_for

WARM_UP_READS = ("head_rate", "accumulate", "warmup", "decay", "weight_decay", "clip")
"""Options of `train:` that it depends on, besides those of how rows are cut into batches."""


def warm_up(
    job: Job,
    model: Classifier,
    features: Float[Tensor, "rows dim"],
    labels: Int64[Tensor, " rows"],
    progress: Progress,
) -> None:
    """Train a new head for `train.head_warmup` epochs, in place; its last values are kept.

    Rate, batches and schedule are those that `train:` gives the head, the schedule over these steps alone. No state is
    kept: a run that was killed does it again, to the same bits.

    Args:
        job: base, rows and options.
        model: whose head it is.
        features: of the training rows, from the body as it is.
        labels: index of each row's label.
        progress: who is told how far it is.

    Raises:
        ZoganError: a loss that is not finite.
    """
    settings, task = job.config.train, job.task
    orders = _orders(job)
    if not orders or not isinstance(task, Classification):
        return
    parameters, weights = list(model.head.parameters()), weights_of(job)
    labels = labels.to(features.device)
    optimizer = torch.optim.AdamW(parameters, lr=job.config.head_rate, weight_decay=settings.weight_decay)
    schedule = schedule_for(optimizer, settings, len(orders))
    progress.start("head", len(orders))
    for done, batches in enumerate(orders, start=1):
        targets, total = sum(len(rows) for rows in batches), 0.0
        for rows in batches:
            batch = weighed({"features": features[rows], "labels": labels[rows]}, weights, rows)
            batch = {name: tensor.to(features.device) for name, tensor in batch.items()}
            loss, _ = task.loss(model, batch, job.config.regularize.label_smoothing)
            (loss / targets).backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach()) / targets
        if not math.isfinite(total):
            raise ZoganError(f"the loss is {total}", where="train.head_warmup", todo="Lower train.head_rate")
        if settings.clip is not None:
            torch.nn.utils.clip_grad_norm_(parameters, settings.clip)
        rate = schedule.get_last_lr()[0]
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        progress.advance(done, loss=total, rate=rate)
    progress.note(f"the head has trained alone for {settings.head_warmup:g} epochs ({len(orders):,} steps)")


def _orders(job: Job) -> list[list[list[int]]]:
    """The rows of each batch of each step; of the last epoch so much as is asked for, to the nearest step."""
    settings = job.config.train
    # Tokens cut the batches as they would cut those of the rows; otherwise one row is like another.
    by_tokens = settings.tokens_per_batch is not None
    lengths = [len(example.ids) if by_tokens else 1 for example in job.examples("train")]
    found: list[list[list[int]]] = []
    for epoch in range(math.ceil(settings.head_warmup)):
        order = bucketed(lengths, batch_size(settings), seed=settings.seed, epoch=epoch, classes=drawn_by(job))
        steps = [order[place : place + settings.accumulate] for place in range(0, len(order), settings.accumulate)]
        found += steps[: round(min(settings.head_warmup - epoch, 1.0) * len(steps))]
    return found
