"""Evaluate a patch: one base in memory, each patch applied in turn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from zogan.config import Config
from zogan.errors import ModelError, ZoganError
from zogan.evaluate.compare import compare
from zogan.evaluate.evaluation import Evaluation
from zogan.evaluate.predictions import BeforeIs, Predicted
from zogan.patch import Patch
from zogan.progress import Progress, Silent
from zogan.tasks.classification import Classification
from zogan.tasks.job import Job, Split, open_job
from zogan.tasks.task import Enter, Predictions
from zogan.train.held import hold
from zogan.train.need import to_evaluate

Adapt = Callable[[nn.Module, Patch], nn.Module]
"""Puts a patch's adapters into a model that already has its changed weights."""

_MAY_DIFFER = ("max_length",)


def evaluate(
    job: Config | Job,
    patch: Patch | None = None,
    *,
    before: Patch | None = None,
    split: Split = "test",
    predicted: Predicted | None = None,
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
        predicted: what `predict` gave for the same; absent, the models are run.
        adapt: attaches adapters; needed for patches that have them.
        cache: as in `open_job`.
        progress: told of rows predicted.

    Raises:
        ModelError: a new head and nothing to compare with; a patch of another task.
        IntegrityError: a patch of another base.
        ConfigError: the layers that the patches change do not fit into the memory, or greedy answers are asked for and
            the whole model does not.
    """
    progress = progress or Silent()
    if isinstance(job, Config):
        job = open_job(job, cache=cache, progress=progress)
    if predicted is None:
        predicted = predict(job, patch, before=before, split=split, adapt=adapt, progress=progress)
    return compare(
        getattr(job.splits, split),
        predicted.before,
        predicted.after,
        before_is=predicted.before_is,
        split=split,
        settings=job.config.evaluate,
        seed=job.config.train.seed,
    )


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
    if isinstance(job.task, Classification) and not job.task.keeps_head and before is None:
        raise ModelError(
            "this task has a new head, so that the base alone predicts nothing",
            where=job.base.source,
            todo="Pass before=, a patch made with method: head",
        )
    given = [one for one in (before, patch) if one is not None]
    for one in given:
        _made_for(job, one)
    if adapt is None and any(one.adapters for one in given):
        raise ZoganError("the patch has adapters, and nothing was given to attach them with", todo="Pass adapt=")
    held = hold(job, to_evaluate(job, split, given), progress=progress)
    model, enter = held.model, held.enter(split)
    del held  # and with it the model, once another takes its place
    first = _predict(job, model, before, split, enter, adapt, progress)
    second = None
    if patch is not None:
        if before is not None and before.adapters:  # their modules cannot be taken out again
            model = job.task.model(seed=job.config.train.seed, dtype=job.dtype)
        second = _predict(job, model, patch, split, enter, adapt, progress)
    before_is: BeforeIs = "base" if before is None else "head_only"
    return Predicted(first, second, before_is)


def _predict(
    job: Job,
    model: nn.Module,
    patch: Patch | None,
    split: Split,
    enter: Enter,
    adapt: Adapt | None,
    progress: Progress,
) -> Predictions:
    """Predictions with the patch applied; afterwards the model is as before, but for a head and adapters."""
    rows, settings = getattr(job.splits, split), job.config.evaluate
    if patch is None:
        return job.task.predict(model, rows, settings, progress, enter)
    _has_head(job, model, patch)
    names = job.task.tensor_names(model)
    patch.apply(model, names)
    if not patch.adapters:
        predictions = job.task.predict(model, rows, settings, progress, enter)
        patch.revert(model, names)
        return predictions
    assert adapt is not None, "evaluate() has asked for it"
    return job.task.predict(adapt(model, patch), rows, settings, progress, enter)


def _made_for(job: Job, patch: Patch) -> None:
    for key, value in job.task.describe().items():
        if key not in _MAY_DIFFER and patch.meta.task.get(key, value) != value:
            raise ModelError(
                f"the patch was made for {key} = {patch.meta.task[key]!r}, this task has {value!r}",
                where=patch.digest[:12],
                todo="Evaluate it with the configuration that it was made with",
            )


def _has_head(job: Job, model: nn.Module, patch: Patch) -> None:
    for name in job.task.head(model):
        if name not in patch.tensors:
            raise ModelError(f"the patch holds no {name!r}, which this task needs", where=patch.digest[:12])
