"""Models of which a test says what they answer, on a bench for probes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import data
from sample_run import sample_patch
from tiny import tiny_decoder, tiny_encoder
from zogan.data.prepare import Splits
from zogan.data.rows import Row
from zogan.evaluate.probes.bench import Bench, System
from zogan.models.load import quiet
from zogan.tasks import open_job
from zogan.tasks.job import Job
from zogan.tasks.task import ClassPredictions, Predictions, TextPredictions

Says = Callable[[Row], tuple[str, float]]
"""From a row to its label and how sure of it; or to its answer and its loss."""


class Planted(Bench):
    """A bench whose models say what they are told; a system that is not told of is not there."""

    def __init__(self, job: Job, says: Mapping[System, Says]) -> None:
        super().__init__(job, sample_patch(), before=None, production=None, adapt=lambda model, patch: model)
        self.says = says

    def has(self, system: System) -> bool:
        """See `Bench`."""
        return system in self.says

    def predictions(self, system: System, rows: Sequence[Row], *, answers: int = 0) -> Predictions:
        """See `Bench`."""
        said = [self.says[system](row) for row in rows]
        if self.job.config.task == "generation":
            losses = np.array([loss for _, loss in said], dtype=np.float64)
            references = tuple(row.target for row in rows[:answers])
            texts = tuple(text for text, _ in said[:answers])
            return TextPredictions(losses, np.ones(len(rows), dtype=np.int64), texts, references)
        probabilities = np.zeros((len(rows), len(data.LABELS)))
        for place, (label, sure) in enumerate(said):
            probabilities[place] = (1 - sure) / (len(data.LABELS) - 1)
            probabilities[place, data.LABELS.index(label)] = sure
        truth = np.array([data.LABELS.index(row.target) for row in rows], dtype=np.int64)
        losses = -np.log(probabilities[np.arange(len(rows)), truth])
        return ClassPredictions(data.LABELS, truth, probabilities, losses)


def planted_job(folder: Path, task: Any, *, test: Sequence[Row] = (), train: Sequence[Row] = (), **keys: Any) -> Job:
    """A job with a tiny base, and these rows in the place of the usual ones; validation rows are the test rows."""
    with quiet():
        if task == "generation":
            tiny_decoder(folder / "base")
        else:
            tiny_encoder(folder / "base", labels=data.LABELS)
    settings = {"resamples": 100, "answers": 500, "max_new_tokens": 4}
    config = data.make_config(folder, task, data=data.write_splits(folder, task), evaluate=settings, **keys)
    job = open_job(config, cache=folder / "cache")
    own = job.splits
    splits = Splits(
        tuple(train) or own.train, tuple(test) or own.validation, tuple(test) or own.test, own.labels, (), own.digest
    )
    return replace(job, splits=splits)
