"""The temperature that makes a classifier as sure as it is right, kept in its patch."""

from __future__ import annotations

from dataclasses import replace

from zogan.evaluate.probes.calibration import fitted_temperature
from zogan.evaluate.run import predict
from zogan.patch import Patch
from zogan.patch.meta import TEMPERATURE
from zogan.progress import Progress
from zogan.tasks.job import Job
from zogan.tasks.task import ClassPredictions
from zogan.train.methods import load_adapters

_DIGITS = 4


def with_temperature(job: Job, patch: Patch, progress: Progress) -> Patch:
    """The patch with the temperature that its logits are to be divided by, fitted on the validation rows.

    Of generation, or without validation rows, the patch as it is.
    """
    if job.config.task != "classification" or not job.splits.validation:
        return patch
    found = predict(job, before=patch, split="validation", adapt=load_adapters, progress=progress).before
    assert isinstance(found, ClassPredictions)
    task = {**patch.meta.task, TEMPERATURE: round(fitted_temperature(found), _DIGITS)}
    return replace(patch, meta=patch.meta.model_copy(update={"task": task}))
