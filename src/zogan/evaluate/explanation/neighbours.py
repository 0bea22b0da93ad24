"""Training rows that a model sees much like a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from zogan.data.batch import batch_size
from zogan.data.rows import DialogueRow, Row
from zogan.evaluate.explanation.result import Neighbour
from zogan.progress import Progress
from zogan.tasks.classifier import Classifier, pool
from zogan.tasks.generation import Generation
from zogan.tasks.inference import batches, evaluating
from zogan.tasks.job import Job
from zogan.tasks.task import IGNORED, Example

SHOWN = 5
"""Neighbours of a row."""


def nearest(job: Job, model: nn.Module, rows: Sequence[Row], progress: Progress) -> list[tuple[Neighbour, ...]]:
    """The training rows with the largest cosine of pooled hidden states to each row.

    Pooled as the head has it; where there is no head of ours, the mean over the tokens: of a dialogue, those before the
    answer.

    Args:
        job: with the training rows.
        model: the tuned one.
        rows: whose neighbours are sought.
        progress: told of rows read.
    """
    train = job.splits.train
    progress.start("neighbours", len(train))
    known = _pooled(job, model, train, progress)
    of_rows = _pooled(job, model, rows, None)
    similar = of_rows @ known.T  # (rows, train)
    best = similar.topk(min(SHOWN, len(train)), dim=1)
    return [
        tuple(
            Neighbour(
                place=str(train[place].place),
                text=train[place].input,
                target=train[place].target,
                similarity=max(-1.0, min(1.0, value)),
            )
            for value, place in zip(values, places, strict=True)
        )
        for values, places in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]


def _pooled(job: Job, model: nn.Module, rows: Sequence[Row], progress: Progress | None) -> Float[Tensor, "rows dim"]:
    """Of length 1."""
    examples = _read(job, rows)
    found: dict[int, Float[Tensor, " dim"]] = {}
    with evaluating(model):
        for places, batch in batches(job.task, model, examples, batch_size(job.config.evaluate)):
            ids, mask = batch["input_ids"], batch["attention_mask"]
            if isinstance(model, Classifier):
                states = model.features(ids, mask)
            else:
                body: Any = getattr(model, "base_model", model)
                states = pool(body(input_ids=ids, attention_mask=mask).last_hidden_state.float(), mask.bool(), "mean")
            found |= dict(zip(places, normalize(states.float(), dim=1).cpu(), strict=True))
            if progress is not None:
                progress.advance(len(found))
    return torch.stack([found[place] for place in range(len(examples))])


def _read(job: Job, rows: Sequence[Row]) -> list[Example]:
    """A text, or what stands before the answer."""
    task = job.task
    if not isinstance(task, Generation):
        return task.encode(rows)
    prompts = task.format.prompts([row for row in rows if isinstance(row, DialogueRow)])
    return [
        Example(ids[-task.max_length :], (IGNORED,) * min(len(ids), task.max_length), 0, place)
        for place, ids in enumerate(prompts)
    ]
