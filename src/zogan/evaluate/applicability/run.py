"""All that is looked at before tuning, and the answer. No test row is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float64
from torch import nn

from zogan.config import Config
from zogan.data.batch import batch_size
from zogan.data.doubts import Doubts, doubted
from zogan.data.folds import folds
from zogan.data.rows import DialogueRow, Row, TextRow
from zogan.errors import ConfigError
from zogan.evaluate.applicability.answer import of_classes, of_texts
from zogan.evaluate.applicability.gradient import TOP, concentration
from zogan.evaluate.applicability.hidden import layers_of, prompts_of
from zogan.evaluate.applicability.needed import planned
from zogan.evaluate.applicability.probing import Right, by_neighbour, cut, more_rows, within_reach
from zogan.evaluate.applicability.result import Answer, Applicability, Told, Unit
from zogan.evaluate.applicability.texts import SHOWN, look_at_texts
from zogan.evaluate.metrics import Metric, Rows, Sums, ratio
from zogan.evaluate.statistics import Interval, Mean, RightOrWrong, intervals, match, score_interval, share_interval
from zogan.progress import Progress, Silent
from zogan.tasks.classification import Classification
from zogan.tasks.classifier import Classifier
from zogan.tasks.generation import Generation
from zogan.tasks.job import Job, open_job
from zogan.train.head import start_head
from zogan.train.labels import Doubt, held_out_probabilities, told
from zogan.train.need import to_evaluate
from zogan.train.plan import plan_for

ROWS = 2000
"""Training rows that are read at most, drawn by the seed: more would change no answer, and take longer."""

JUDGED = 60
"""Rows of a generation whose answers are judged, at most."""


def check(job: Config | Job, *, progress: Progress | None = None) -> Applicability:
    """Say whether tuning is worth it. See `zogan.check`."""
    progress = progress or Silent()
    if isinstance(job, Config):
        job = open_job(job, progress=progress)
    rows = {name: len(getattr(job.splits, name)) for name in ("train", "validation", "test")}
    blind = replace(job, splits=replace(job.splits, test=()))
    if plan_for(blind, to_evaluate(blind, "train", ())) is not None:
        todo = "Give budget.memory more, or check on a larger machine"
        raise ConfigError("the check needs the whole model in memory", where="budget.memory", todo=todo)
    looked = _Texts(blind, progress) if isinstance(job.task, Generation) else _Classes(blind, progress)
    answer, reason = looked.answer()
    plan = None if looked.reach is None else planned(job.config, job.splits.test, *looked.reach)
    return Applicability(
        task=job.config.task,
        base=job.base.fingerprint.whole,
        answer=answer,
        reason=reason,
        notes=tuple(looked.notes),
        rows=rows,
        level=job.config.evaluate.level,
        figures=looked.figures,
        doubts=looked.doubts,
        test_rows_needed=None if plan is None else plan.needed,
    )


class _Looked:
    """Figures as they come.

    Attributes:
        figures: by name.
        notes: what the user should know besides.
        doubts: rows whose label may be wrong.
        reach: an improvement that tuning may bring, and how rows would differ; None where there is none.
    """

    def __init__(self, job: Job, progress: Progress) -> None:
        self.job, self.progress = job, progress
        self.level, self.seed = job.config.evaluate.level, job.config.train.seed
        self.figures: dict[str, Told] = {}
        self.notes: list[str] = []
        self.doubts: tuple[Doubt, ...] = ()
        self.reach: tuple[float, RightOrWrong | Mean] | None = None

    def tell(self, name: str, what: str, unit: Unit, rows: int, found: Interval | float) -> None:
        """Keep a figure."""
        if isinstance(found, float):
            self.figures[name] = Told(what=what, unit=unit, value=found, rows=rows)
            return
        ends = (found.low, found.high) if np.isfinite([found.low, found.high]).all() else (None, None)
        self.figures[name] = Told(what=what, unit=unit, value=found.value, low=ends[0], high=ends[1], rows=rows)

    def tell_gradient(self, model: nn.Module) -> None:
        """How concentrated it is."""
        found = concentration(self.job, model, self.progress)
        for share, held in zip(TOP, found.shares, strict=True):
            what = f"squared gradient in the top {100 * share:g} % of {found.weights:,} weights"
            self.tell(f"top_{100 * share:g}", what, "share", found.rows, held)


class _Classes(_Looked):
    """A classification."""

    def __init__(self, job: Job, progress: Progress) -> None:
        super().__init__(_drawn(job, progress), progress)
        job, task = self.job, self.job.task
        assert isinstance(task, Classification)
        self.enough = False
        rows = [row for row in job.splits.train if isinstance(row, TextRow)]
        given = np.array([example.labels[0] for example in job.examples("train")], dtype=np.int64)
        judged, parts, classes = cut(rows, given, job.config.data.seed)
        left_out = len(rows) - len(judged)
        if left_out:
            self.notes.append(f"{left_out:,} rows are of classes with too few rows to hold any out: not judged")
        if not len(judged):
            return
        self.enough = True
        model = task.model(seed=self.seed, dtype=job.dtype)
        size = batch_size(job.config.evaluate)
        own = None
        if task.keeps_head:  # features stand before that head
            said = task.predict(model, rows, job.config.evaluate, progress)
            own = (said.choice == said.truth)[judged]
        layers = layers_of(job, model, job.examples("train"), size, progress)
        which = np.searchsorted(classes, given[judged])
        self._probe(layers[:, judged], which, parts, own, [rows[row] for row in judged.tolist()], classes)
        if isinstance(model, Classifier):
            start_head(model.head, "means", torch.from_numpy(layers[-1]), torch.from_numpy(given))
        self.tell_gradient(model)

    def answer(self) -> tuple[Answer, str]:
        """With its reason."""
        if not self.enough:
            return "not_enough_data", "fewer than two classes have rows enough to hold some out: label more rows first"
        return of_classes(self.figures)

    def _probe(
        self,
        layers: np.ndarray,
        given: np.ndarray,
        parts: Sequence[tuple[int, ...]],
        own: Right | None,
        rows: Sequence[TextRow],
        classes: Sequence[int],
    ) -> None:
        job, number = self.job, len(given)
        last = np.asarray(layers[-1], dtype=np.float64)
        self.progress.start("probe", 4)
        probabilities = held_out_probabilities(last, given, parts)
        head = probabilities.argmax(axis=1) == given
        self.progress.advance(1)
        neighbour, (lower, upper) = by_neighbour(last, given, parts), within_reach(layers, given)
        self.progress.advance(2)
        resamples = job.config.evaluate.resamples
        curve = more_rows(last, given, parts, level=self.level, seed=self.seed, resamples=resamples)
        self.progress.advance(3)
        found = _by_both(doubted(probabilities, given), upper)
        assert isinstance(job.task, Classification)
        self.doubts = told(found, rows, probabilities, given, [job.task.labels[label] for label in classes])
        self.progress.advance(4)
        untuned = head if own is None else own
        if own is not None:
            lower = own
        self._share("chance", "the commonest class alone", given == np.bincount(given).argmax())
        what = "a head on the base's frozen features" if own is None else "the base's own head, as it is"
        self._share("head", what, untuned)
        self._share("neighbour", "the class of the nearest row", neighbour)
        self._share("layers", "a ridge classifier on the features of all layers", upper)
        if own is None:
            self._share("last", "the same on those of the last layer alone", lower)
        what = "labels that both a head and all layers speak against"
        self.tell("noise", what, "share", number, found.expected_share)
        left = max(0.0, 1.0 - float(untuned.mean()) - found.expected_share)
        self.tell("headroom", "left to gain: neither right untuned nor such a label", "share", number, left)
        matched = match(lower, upper)
        self.tell(
            "reach",
            "within reach: all layers less the last" if own is None else "within reach: all layers less its own head",
            "difference",
            number,
            score_interval(matched, level=self.level),
        )
        if curve is not None and curve.gain is not None:
            self.tell("more_rows", "what twice the training rows would bring a head", "difference", number, curve.gain)
        else:
            reason = curve.reason if curve is not None else "too few rows to take a quarter of them"
            self.notes.append(f"what twice the training rows would bring cannot be told: {reason}")
        discordant = (matched.gained + matched.lost) / number
        if matched.difference > 0:
            self.reach = matched.difference, RightOrWrong(discordant)

    def _share(self, name: str, what: str, right: Right) -> None:
        found = share_interval(int(right.sum()), len(right), level=self.level)
        self.tell(name, what, "share", len(right), found)


class _Texts(_Looked):
    """A generation."""

    def __init__(self, job: Job, progress: Progress) -> None:
        super().__init__(job, progress)
        task, config = job.task, job.config
        assert isinstance(task, Generation)
        train, judged = _dialogues(job.splits.train), _dialogues(job.splits.validation)
        if not judged:  # train.folds: one of them takes its turn
            held_out = folds(train, config.train.folds or 2, seed=config.data.seed, where="train.folds")[0]
            judged = [train[row] for row in held_out]
            train = [row for place, row in enumerate(train) if place not in set(held_out)]
        train, judged = _some(train, ROWS, self.seed), _some(judged, JUDGED, self.seed)
        model = task.model(seed=self.seed, dtype=job.dtype)
        size = batch_size(config.evaluate)
        states = [layers_of(job, model, prompts_of(task, rows), size, progress)[-1] for rows in (train, judged)]
        found = look_at_texts(job, model, train, judged, (states[0], states[1]), progress)
        self.tell("loss", "loss of the base on answers", "nats", len(judged), self._figure(found.losses))
        what = f"the same, up to {SHOWN} nearest training rows shown before"
        self.tell("shown", what, "nats", len(judged), self._figure(found.shown))
        if crowded := int((found.before < SHOWN).sum()):
            self.notes.append(
                f"before {crowded:,} of {len(judged):,} prompts there was room for fewer than {SHOWN} rows, for "
                f"{found.before.mean():.1f} in the mean of all: {task.max_length:,} tokens are the limit "
                "(train.max_length), and what is not shown cannot help"
            )
        fall = self._fall(found.losses, found.shown)
        self.tell("reach", "within reach: how much lower they make it", "nats", len(judged), fall)
        unit: Unit = "points" if found.metric.most == 100 else "share" if found.metric.most == 1 else "plain"
        name = found.metric.name
        for key, what, rows in (
            ("answers", f"{name} of the base's answers", found.answers),
            ("neighbour", f"{name} of the nearest training row's answer", found.neighbours),
        ):
            self.tell(key, what, unit, len(rows), self._metric(found.metric, rows))
        self.tell_gradient(model)
        each = found.losses[:, 0] / found.losses[:, 1] - found.shown[:, 0] / found.shown[:, 1]
        if fall.value > 0 and each.std() > 0 and config.protocol.metric in (None, "loss"):
            self.reach = fall.value, Mean(float(each.std(ddof=1)))

    def answer(self) -> tuple[Answer, str]:
        """With its reason."""
        return of_texts(self.figures)

    def _metric(self, metric: Metric, rows: Rows) -> Interval:
        return self._intervals(lambda counts: metric.figure(counts @ rows), len(rows))

    def _figure(self, rows: Rows) -> Interval:
        return self._intervals(lambda counts: ratio(counts @ rows), len(rows))

    def _fall(self, before: Rows, after: Rows) -> Interval:
        return self._intervals(lambda counts: ratio(counts @ before) - ratio(counts @ after), len(before))

    def _intervals(self, figure: Callable[[Sums], Float64[np.ndarray, " resamples"]], rows: int) -> Interval:
        return intervals(
            lambda counts: figure(counts)[:, None],
            rows,
            level=self.level,
            resamples=self.job.config.evaluate.resamples,
            seed=self.seed,
        )[0]


def _by_both(found: Doubts, right: Right) -> Doubts:
    """Only the rows that the other has wrong too: what a head alone doubts may be what it cannot tell."""
    kept = [place for place, row in enumerate(found.rows) if not right[row]]
    return Doubts(
        rows=tuple(found.rows[place] for place in kept),
        suggested=tuple(found.suggested[place] for place in kept),
        expected_share=len(kept) / len(right),
    )


def _drawn(job: Job, progress: Progress) -> Job:
    """The same with `ROWS` of its training rows at most."""
    number = len(job.splits.train)
    if number <= ROWS:
        return job
    progress.note(f"{ROWS:,} of {number:,} training rows are read, drawn by train.seed")
    kept = np.random.default_rng(job.config.train.seed).choice(number, ROWS, replace=False)
    return job.holding_out(sorted(set(range(number)) - set(kept.tolist())))


def _some(rows: Sequence[DialogueRow], number: int, seed: int) -> list[DialogueRow]:
    """So many of the rows at random, in their order; all where there are no more."""
    if len(rows) <= number:
        return list(rows)
    kept = np.random.default_rng(seed).choice(len(rows), number, replace=False)
    return [rows[place] for place in sorted(kept.tolist())]


def _dialogues(rows: Sequence[Row]) -> list[DialogueRow]:
    return [row for row in rows if isinstance(row, DialogueRow)]
