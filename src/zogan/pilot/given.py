"""A patch that a run judges and did not make, in the place of one that it tunes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from zogan.errors import ConfigError, IntegrityError, RunError
from zogan.evaluate.run import has_head, made_for
from zogan.patch import Patch
from zogan.run import Run
from zogan.tasks.job import Job
from zogan.train.methods import require_peft
from zogan.weights import headers

STAGE = "given"
"""Of a run whose patch was given to it; stands where `select` and `tune` do in others."""

_TUNED = ("select", "tune")


def fitting(job: Job, file: Path) -> Patch:
    """The patch, proved to be one that the job's base, task and protocol can be judged with.

    Args:
        job: base, rows and task.
        file: the patch; made anywhere.

    Raises:
        ZoganError: no such file, or adapters and no peft to attach them with.
        IntegrityError: damaged, or of another base.
        ModelError: of another task, or without the head that this one needs.
        ConfigError: the configuration asks for what only tuning gives: several seeds, a learning curve.
    """
    _asked(job)
    patch = Patch.load(file)
    if patch.meta.base.whole != job.base.fingerprint.whole:
        todo = "Set model to the base that it was made on"
        if patch.meta.parent is not None:
            todo += ", or make one patch of it and those below it with `zogan patch compose`"
        raise IntegrityError(
            f"is a patch of base {patch.meta.base.whole[:12]}, and the configured one, {job.base.source}, is "
            f"{job.base.fingerprint.whole[:12]}",
            where=str(file),
            todo=todo,
        )
    made_for(job, patch)
    has_head(job, job.task.model(seed=job.config.train.seed, dtype=job.dtype, empty=True), patch)
    if patch.adapters:
        require_peft()
    return patch


def of_one_kind(run: Run, *, given: bool) -> None:
    """Keep a run that tuned its patch and one that was given it apart, so that neither loses its own to the other.

    Args:
        run: open.
        given: whether a patch is given now.

    Raises:
        RunError: the folder holds a run of the other kind.
    """
    stages = run.read("stages.json")
    if given and (any(name in stages for name in _TUNED) or (run.folder / "metrics.jsonl").exists()):
        raise RunError(
            "holds a run that tunes its own patch, which the given one would replace",
            where=str(run.folder),
            todo="Name another folder with --set output=…",
        )
    if not given and STAGE in stages:
        raise RunError(
            "holds a run whose patch was given, which a tuned one would replace",
            where=str(run.folder),
            todo="Give the patch again with `zogan pilot --patch`, or name another folder with --set output=…",
        )


def take(run: Run, job: Job, file: Path, read: dict[str, Any]) -> None:
    """Copy the patch into the run, byte for byte, as the stage `given`.

    Args:
        run: open.
        job: what it is judged with; see `fitting`.
        file: the patch.
        read: what the stage's result depends on besides.
    """

    def make(path: Path) -> dict[str, Any]:
        shutil.copyfile(file, path)
        if run.digest(path) != run.digest(file):
            raise IntegrityError("changed while it was read", where=str(file), todo="Give it again")
        run.forget_judgement()
        infos = headers(job.base.folder).values()
        return {
            "model_parameters": sum(info.numel for info in infos),
            "base_bytes": sum(info.nbytes for info in infos),
        }

    run.stage(STAGE, run.patch, {**read, "patch": file}, make)


def _asked(job: Job) -> None:
    """Refuse what is of several tunings."""
    seeds = job.config.protocol.seeds or ()
    if len(seeds) > 1:
        raise ConfigError(
            f"{', '.join(map(str, seeds))} are several trainings, and one patch is given",
            where="protocol.seeds",
            todo=f"Judge it by itself with --set protocol.seeds=[{job.config.train.seed}]",
        )
    if job.config.evaluate.learning_curve:
        raise ConfigError(
            "tunes anew on fewer rows, and the patch is given",
            where="evaluate.learning_curve",
            todo="Leave it out with --set evaluate.learning_curve=false",
        )
