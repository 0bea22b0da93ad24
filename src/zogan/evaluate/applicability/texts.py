"""What the base says of answers before anything is tuned, and how much the training rows tell it.

A head has no counterpart here. What corresponds is what the base makes of training rows that it is shown: their answers
before a new prompt lower the loss on its answer by as much as the task lies within the model's reach (in-context
learning as a stand-in for tuning: arXiv:2212.10559).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import nn

from zogan.data.batch import batch_size
from zogan.data.rows import DialogueRow
from zogan.evaluate.applicability.hidden import nearest
from zogan.evaluate.metrics import Metric, metrics
from zogan.progress import Progress
from zogan.tasks.generation import Generation
from zogan.tasks.inference import batches, evaluating
from zogan.tasks.job import Job
from zogan.tasks.labelled import labelled_losses
from zogan.tasks.task import IGNORED, Example, TextPredictions

SHOWN = 4
"""Training rows that stand before a prompt at most, the nearest of them last."""

ANSWERS = 12
"""Judged rows that the base answers, to be held against the answers of their nearest training rows."""

ANSWERED_BY = "chrf"
"""Metric of answers where the protocol's own is none: it needs no words and no tokenizer."""


@dataclass(frozen=True, eq=False)
class Texts:
    """Figures of the judged rows, what each row adds to them.

    Attributes:
        losses: nats and tokens of each row's answer, of the base as it is: (rows, 2).
        shown: the same with training rows before it.
        before: how many rows there are before each: those nearest that the limit on a row's tokens leaves room for.
        metric: of answers.
        neighbours: what the nearest training row's answer adds to it, of all judged rows.
        answers: what the base's own answer adds to it, of the first.
    """

    losses: Float64[np.ndarray, "rows 2"]
    shown: Float64[np.ndarray, "rows 2"]
    before: Int64[np.ndarray, " rows"]
    metric: Metric
    neighbours: Float64[np.ndarray, "rows parts"]
    answers: Float64[np.ndarray, "answered parts"]


def look_at_texts(
    job: Job,
    model: nn.Module,
    train: Sequence[DialogueRow],
    judged: Sequence[DialogueRow],
    states: tuple[np.ndarray, np.ndarray],
    progress: Progress,
) -> Texts:
    """Losses and answers on the judged rows.

    Args:
        job: whose task it is.
        model: the base.
        train: rows that may be shown.
        judged: rows that are none of those.
        states: of what stands before the answer, (rows, dim), of the one and of the other.
        progress: told of rows.
    """
    task = job.task
    assert isinstance(task, Generation)
    closest = nearest(states[1], states[0], number=SHOWN)  # (judged, shown)
    settings = job.config.evaluate.model_copy(update={"answers": min(ANSWERS, len(judged))})
    said = task.predict(model, judged, settings, progress)
    whole = [
        _with_before(task, row, [train[place] for place in places])
        for row, places in zip(judged, closest.tolist(), strict=True)
    ]
    examples = [_last_alone(example) for example in task.encode([row for row, _ in whole])]
    losses, tokens = _losses(job, model, examples, progress)
    metric = answered_by(job)
    references = tuple(row.target for row in judged)
    lent = TextPredictions(said.losses, said.tokens, tuple(train[place].target for place in closest[:, 0]), references)
    return Texts(
        losses=np.stack([said.losses, said.tokens.astype(np.float64)], axis=1),
        shown=np.stack([losses, tokens.astype(np.float64)], axis=1),
        before=np.array([before for _, before in whole], dtype=np.int64),
        metric=metric,
        neighbours=metric.rows(lent),
        answers=metric.rows(said),
    )


def answered_by(job: Job) -> Metric:
    """The protocol's metric where it is one of answers, else `ANSWERED_BY`."""
    known = metrics("generation")
    name = job.config.protocol.metric
    return known[name if name in known and name not in ("loss", "perplexity") else ANSWERED_BY]


def _with_before(task: Generation, row: DialogueRow, near: Sequence[DialogueRow]) -> tuple[DialogueRow, int]:
    """A row behind the nearest others, the nearest last, and how many: those that it is not cut for."""
    found = [
        replace(row, messages=(*(message for one in near[:number][::-1] for message in one.messages), *row.messages))
        for number in range(len(near) + 1)
    ]
    for number, dialogue in reversed(list(enumerate(task.format.encode(found)))):
        if len(dialogue.ids) <= task.max_length:
            return found[number], number
    return row, 0


def _losses(
    job: Job, model: nn.Module, examples: Sequence[Example], progress: Progress
) -> tuple[Float64[np.ndarray, " rows"], Int64[np.ndarray, " rows"]]:
    losses, tokens = np.zeros(len(examples)), np.zeros(len(examples), dtype=np.int64)
    progress.start("shown", len(examples))
    done = 0
    with evaluating(model):
        for rows, batch in batches(job.task, model, examples, batch_size(job.config.evaluate)):
            each, places = labelled_losses(model, batch)
            losses[rows] = torch.zeros(len(rows)).double().index_add(0, places.cpu(), each.double().cpu()).numpy()
            tokens[rows] = places.bincount(minlength=len(rows)).cpu().numpy()
            done += len(rows)
            progress.advance(done)
    return losses, tokens


def _last_alone(example: Example) -> Example:
    """The last answer is learnt, those before it are not."""
    labels = example.labels
    start = len(labels)
    while start and labels[start - 1] == IGNORED:
        start -= 1
    while start and labels[start - 1] != IGNORED:
        start -= 1
    return replace(example, labels=(*([IGNORED] * start), *labels[start:]))
