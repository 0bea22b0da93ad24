"""Evaluate a patch: one base in memory, each patch applied in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from zogan.config import Config
from zogan.data.external import External
from zogan.errors import ModelError, ZoganError
from zogan.evaluate.compare import compare
from zogan.evaluate.evaluation import Evaluation
from zogan.evaluate.evidence import evidence
from zogan.evaluate.external import on_external
from zogan.evaluate.overfitting import drawn, overfitting
from zogan.evaluate.predictions import BeforeIs, Predicted
from zogan.evaluate.protocol.protocol import Protocol
from zogan.patch import Patch
from zogan.progress import Progress, Silent
from zogan.tasks.job import Job, Split, open_job
from zogan.tasks.task import Enter, Predictions, enter_nothing
from zogan.train.held import hold
from zogan.train.need import to_evaluate

Adapt = Callable[[nn.Module, Patch], nn.Module]
"""Puts a patch's adapters into a model that already has its changed weights."""

Pair = tuple[Patch | None, Patch]
"""What a seed's patch is held against, None for the base itself; and that patch."""

_MAY_DIFFER = ("max_length",)


@dataclass(frozen=True)
class Measured:
    """An evaluation, and how long a row took.

    Attributes:
        evaluation: with evidence where a protocol was given.
        predicted: what it was taken from.
        latency_ms: time to predict a row with the patch, in batches: to answer it where rows are answered; None where
            that was not the whole model's work.
    """

    evaluation: Evaluation
    predicted: Predicted
    latency_ms: float | None


def evaluate(
    job: Config | Job,
    patch: Patch | None = None,
    *,
    before: Patch | None = None,
    split: Split = "test",
    adapt: Adapt | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """The model before and after, on the same rows.

    Args:
        job: what was tuned, or its configuration.
        patch: the result; absent, the model before is evaluated alone.
        before: where the task has a new head, the patch of `method: head` to compare with. Otherwise absent: the
            base itself is what was before.
        split: which rows.
        adapt: attaches adapters; needed for patches that have them.
        cache: as in `open_job`.
        progress: told of rows predicted.

    Raises:
        ModelError: a new head and nothing to compare with; a patch of another task.
        IntegrityError: a patch of another base.
        ConfigError: the layers that the patches change do not fit into the memory, or greedy answers are asked for and
            the whole model does not.
    """
    measured = measure(job, patch, before=before, split=split, adapt=adapt, cache=cache, progress=progress or Silent())
    return measured.evaluation


def measure(
    job: Config | Job,
    patch: Patch | None,
    *,
    before: Patch | None = None,
    split: Split = "test",
    protocol: Protocol | None = None,
    pairs: Sequence[Pair] = (),
    external: Sequence[External] = (),
    learnt: bool = False,
    adapt: Adapt | None = None,
    cache: Path | None = None,
    progress: Progress = Silent(),
) -> Measured:
    """`evaluate`, with what a protocol is judged by measured on the same predictions.

    Args:
        job: as in `evaluate`, and so are the others.
        patch: the result.
        before: what is compared with.
        split: which rows.
        protocol: in full; None where nothing is judged.
        pairs: for each of the protocol's seeds, in their order.
        external: further sets that the same figures are taken on.
        learnt: whether the model after is measured on training rows, too.
        adapt: attaches adapters.
        cache: as in `open_job`.
        progress: told of rows predicted.
    """
    if isinstance(job, Config):
        job = open_job(job, cache=cache, progress=progress)
    predicting = _predicting(job, patch, before, pairs, split, adapt, progress)
    predicted = predicting.both(before, patch)
    settings, seed = job.config.evaluate, job.config.train.seed
    latency_ms = predicting.latency_ms if patch is not None and predicting.enter is enter_nothing else None
    evaluation = compare(
        getattr(job.splits, split),
        predicted.before,
        predicted.after,
        before_is=predicted.before_is,
        split=split,
        settings=settings,
        seed=seed,
    )
    sides = {"": predicting.sides(pairs)} if protocol is not None and pairs else {}
    others = []
    for one in external:
        there = predicting.among(job.measured_on(one.rows))
        others.append(on_external(one, there.both(before, patch), predicted, settings=settings, seed=seed))
        if sides and protocol is not None and one.name in protocol.external:
            sides[one.name] = there.sides(pairs)
    evaluation = evaluation.model_copy(update={"external": tuple(others)})
    if learnt and predicted.after is not None:
        rows = drawn(job.splits.train, len(getattr(job.splits, split)), seed)
        bare = job.under(job.config.model_copy(update={"evaluate": settings.model_copy(update={"answers": 0})}))
        of_training = predicting.among(bare.measured_on(rows))(patch)
        found_gap = overfitting(of_training, predicted.after, settings=settings, seed=seed)
        evaluation = evaluation.model_copy(update={"overfitting": found_gap})
    if protocol is not None and pairs:
        found = evidence(
            getattr(job.splits, split),
            *sides.pop(""),
            protocol=protocol,
            resamples=settings.resamples,
            seed=seed,
            external=sides,
        )
        evaluation = evaluation.model_copy(update={"evidence": found})
    return Measured(evaluation, predicted, latency_ms)


def predict(
    job: Job,
    patch: Patch | None = None,
    *,
    before: Patch | None = None,
    split: Split = "test",
    adapt: Adapt | None = None,
    progress: Progress = Silent(),
) -> Predicted:
    """What the model before and after say of the rows. Arguments and errors are those of `evaluate`."""
    return _predicting(job, patch, before, (), split, adapt, progress).both(before, patch)


def _predicting(
    job: Job,
    patch: Patch | None,
    before: Patch | None,
    pairs: Sequence[Pair],
    split: Split,
    adapt: Adapt | None,
    progress: Progress,
) -> _Predicting:
    """The model, as much of it as these patches change, after a look at whether they fit the job."""
    if job.new_head and before is None:
        raise ModelError(
            "this task has a new head, so that the base alone predicts nothing",
            where=job.base.source,
            todo="Pass before=, a patch made with method: head",
        )
    given = [one for one in (before, patch, *(one for pair in pairs for one in pair)) if one is not None]
    for one in given:
        made_for(job, one)
    if adapt is None and any(one.adapters for one in given):
        raise ZoganError("the patch has adapters, and nothing was given to attach them with", todo="Pass adapt=")
    return _held(job, split, given, adapt, progress)


def _held(job: Job, split: Split, given: Sequence[Patch], adapt: Adapt | None, progress: Progress) -> _Predicting:
    held = hold(job, to_evaluate(job, split, given), progress=progress)
    return _Predicting(job, held.model, split, held.enter(split), adapt, progress, given)


class _Predicting:
    """Predictions with a patch applied, each made once; the model is as before afterwards, but for a head.

    Attributes:
        latency_ms: of a row, when it last predicted.
        given: the patches that may be applied.
    """

    def __init__(
        self,
        job: Job,
        model: nn.Module,
        split: Split,
        enter: Enter,
        adapt: Adapt | None,
        progress: Progress,
        given: Sequence[Patch],
    ) -> None:
        self.job, self.split, self.enter, self.adapt, self.progress = job, split, enter, adapt, progress
        self.given = given
        self.latency_ms = 0.0
        self._model, self._spent = model, False
        self._made: dict[str | None, Predictions] = {}

    def both(self, before: Patch | None, patch: Patch | None) -> Predicted:
        """Of the model before and, where there is a patch, after."""
        before_is: BeforeIs = "base" if before is None else "head_only"
        return Predicted(self(before), None if patch is None else self(patch), before_is)

    def sides(self, pairs: Sequence[Pair]) -> tuple[list[Predictions], list[Predictions]]:
        """Of what each seed's patch is held against, and of those patches."""
        return [self(rival) for rival, _ in pairs], [self(after) for _, after in pairs]

    def among(self, job: Job) -> _Predicting:
        """The same on the test rows of another job: with this model, where it is in memory as a whole."""
        if self.enter is not enter_nothing:
            return _held(job, "test", self.given, self.adapt, self.progress)
        if self._spent:
            self._model, self._spent = job.task.model(seed=job.config.train.seed, dtype=job.dtype), False
        return _Predicting(job, self._model, "test", self.enter, self.adapt, self.progress, self.given)

    def __call__(self, patch: Patch | None) -> Predictions:
        """With the patch, or of the base itself."""
        key = None if patch is None else patch.digest
        if key not in self._made:
            self._made[key] = self._with(patch)
        return self._made[key]

    def _with(self, patch: Patch | None) -> Predictions:
        job = self.job
        if self._spent:  # an adapter's modules cannot be taken out again
            self._model, self._spent = job.task.model(seed=job.config.train.seed, dtype=job.dtype), False
        model = self._model
        if patch is None:
            return self._predict(model)
        has_head(job, model, patch)
        names = job.task.tensor_names(model)
        patch.apply(model, names)
        if not patch.adapters:
            predictions = self._predict(model)
            patch.revert(model, names)
            return predictions
        assert self.adapt is not None, "measure() has asked for it"
        self._spent = True
        return self._predict(self.adapt(model, patch))

    def _predict(self, model: nn.Module) -> Predictions:
        rows, settings = getattr(self.job.splits, self.split), self.job.config.evaluate
        clock = _Clock(self.progress, len(rows))
        predictions = self.job.task.predict(model, rows, settings, clock, self.enter)
        self.latency_ms = clock.latency_ms
        return predictions


class _Clock:
    """Passes progress on, and takes the time: of a row that is read, or of one that is answered where any are."""

    def __init__(self, progress: Progress, rows: int) -> None:
        self.progress, self.rows = progress, rows
        self.latency_ms = 0.0
        self._start = time.perf_counter()
        self._before_answers = self._start

    def start(self, stage: str, total: int) -> None:
        """See `Progress`."""
        self.progress.start(stage, total)
        self._start = time.perf_counter()

    def advance(self, done: int, **figures: float) -> None:
        """See `Progress`."""
        self.progress.advance(done, **figures)
        now = time.perf_counter()
        if done <= self.rows:
            self._before_answers = now
            self.latency_ms = 1000 * (now - self._start) / max(done, 1)
        else:
            self.latency_ms = 1000 * (now - self._before_answers) / (done - self.rows)

    def note(self, message: str) -> None:
        """See `Progress`."""
        self.progress.note(message)


def made_for(job: Job, patch: Patch) -> None:
    """Refuse a patch of another task.

    Raises:
        ModelError: what it was made for is not the job's.
    """
    for key, value in job.task.describe().items():
        if key not in _MAY_DIFFER and patch.meta.task.get(key, value) != value:
            raise ModelError(
                f"the patch was made for {key} = {patch.meta.task[key]!r}, this task has {value!r}",
                where=patch.digest[:12],
                todo="Evaluate it with the configuration that it was made with",
            )


def has_head(job: Job, model: nn.Module, patch: Patch) -> None:
    """Refuse a patch without the head that the job's task needs.

    Raises:
        ModelError: it lacks a tensor.
    """
    for name in job.task.head(model):
        if name not in patch.tensors:
            raise ModelError(f"the patch holds no {name!r}, which this task needs", where=patch.digest[:12])
