"""What probes look at: the rows, and the model before, after and in production, of which one is in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np
from torch import nn

from zogan.config import EvaluateConfig
from zogan.data.rows import Row
from zogan.evaluate.run import Adapt, has_head
from zogan.patch import Patch
from zogan.progress import Progress, Silent
from zogan.tasks.job import Job
from zogan.tasks.task import ClassPredictions, Predictions, TextPredictions

System = Literal["base", "before", "after", "production"]
"""The base as it came; what the patch is compared with (the base, or a head alone); the patch; the patch in use."""


class NotProbedError(Exception):
    """Why a probe does not run: something that it needs is not given, or no row is fit for it."""


class Bench:
    """The models of a job, and what they say of rows: each set of rows is predicted once by each.

    Args:
        job: base, rows and task.
        patch: what is looked at.
        before: where the task has a new head, a head alone; None where that is not known.
        production: the patch in use, where there is one.
        adapt: puts a patch's adapters into a model that has its changed weights.
        known: what models are known to say of the test rows, as `on_test` gives it.
        progress: told of rows predicted.
    """

    def __init__(
        self,
        job: Job,
        patch: Patch,
        *,
        before: Patch | None,
        production: Patch | None,
        adapt: Adapt,
        known: Mapping[System, Predictions] = MappingProxyType({}),
        progress: Progress | None = None,
    ) -> None:
        self.job, self.progress = job, progress or Silent()
        self.settings: EvaluateConfig = job.config.evaluate
        self.seed = job.config.probes.seed
        self._adapt = adapt
        self._patches: dict[System, Patch | None] = {"base": None, "after": patch}
        if before is not None or not job.new_head:
            self._patches["before"] = before
        if production is not None:
            self._patches["production"] = production
        self._model: nn.Module | None = None
        self._applied: Patch | None = None
        self._known: dict[tuple[Patch | None, int, tuple[Row, ...]], Predictions] = {}
        for system, found in known.items():
            self._known[self._patches[system], self._answers(self.test, self.settings.answers), self.test] = found

    def has(self, system: System) -> bool:
        """Whether there is such a model that predicts."""
        return system in self._patches and (system != "base" or not self.job.new_head)

    @property
    def test(self) -> tuple[Row, ...]:
        """The test rows."""
        return self.job.splits.test

    def draw(self, rows: Sequence[Row], number: int) -> tuple[Row, ...]:
        """So many of the rows at random, by the seed, in their order; all where there are no more."""
        if len(rows) <= number:
            return tuple(rows)
        chosen = np.random.default_rng(self.seed).choice(len(rows), number, replace=False)
        return tuple(rows[place] for place in sorted(chosen.tolist()))

    def model(self, system: System) -> nn.Module:
        """The model, which is in memory until another is asked for."""
        patch = self._patches[system]
        if self._model is not None and patch is self._applied:
            return self._model
        task = self.job.task
        if self._applied is not None and self._applied.adapters:
            self._model = None  # adapters stand in its layers: another model takes its place
        elif self._model is not None and self._applied is not None:
            self._applied.revert(self._model, task.tensor_names(self._model))
        self._applied = None
        if self._model is None:
            self._model = task.model(seed=self.job.config.train.seed, dtype=self.job.dtype)
        if patch is not None:
            has_head(self.job, self._model, patch)
            patch.apply(self._model, task.tensor_names(self._model))
            self._applied = patch
            if patch.adapters:
                self._model = self._adapt(self._model, patch)
        return self._model

    def predictions(self, system: System, rows: Sequence[Row], *, answers: int = 0) -> Predictions:
        """What a model says of rows.

        Args:
            system: which model.
            rows: whose target is known.
            answers: generation: how many of them, the first ones, are answered.
        """
        patch, rows = self._patches[system], tuple(rows)
        answers = self._answers(rows, answers)
        key = (patch, answers, rows)
        if key not in self._known:
            settings = self.settings.model_copy(update={"answers": answers})
            self._known[key] = self._among(patch, rows, answers) or self.job.task.predict(
                self.model(system), rows, settings, self.progress
            )
        return self._known[key]

    def _answers(self, rows: Sequence[Row], wanted: int) -> int:
        return min(wanted, len(rows)) if self.job.config.task == "generation" else 0

    def _among(self, patch: Patch | None, rows: Sequence[Row], answers: int) -> Predictions | None:
        """Of rows that were predicted among others; None where not all of them were."""
        for (whose, _, others), found in self._known.items():
            if whose is not patch or len(others) < len(rows):
                continue
            places = {row: place for place, row in enumerate(others)}
            if all(row in places for row in rows):
                chosen = [places[row] for row in rows]
                if isinstance(found, ClassPredictions) or all(at < len(found.answers) for at in chosen[:answers]):
                    return _picked(found, chosen, answers)
        return None

    def classes(self, system: System, rows: Sequence[Row]) -> ClassPredictions:
        """`predictions` of a classifier."""
        found = self.predictions(system, rows)
        assert isinstance(found, ClassPredictions)
        return found

    def texts(self, system: System, rows: Sequence[Row], *, answers: int = 0) -> TextPredictions:
        """`predictions` of a language model."""
        found = self.predictions(system, rows, answers=answers)
        assert isinstance(found, TextPredictions)
        return found

    def on_test(self, system: System) -> Predictions:
        """Of the test rows, with as many answers as `evaluate.answers` asks for."""
        return self.predictions(system, self.test, answers=self.settings.answers)


def _picked(found: Predictions, rows: Sequence[int], answers: int) -> Predictions:
    if isinstance(found, ClassPredictions):
        return ClassPredictions(found.labels, found.truth[rows], found.probabilities[rows], found.losses[rows])
    said, wanted = (tuple(texts[row] for row in rows[:answers]) for texts in (found.answers, found.references))
    return TextPredictions(found.losses[rows], found.tokens[rows], said, wanted)
