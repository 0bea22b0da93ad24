"""The loop, its methods, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zogan.progress import Progress, Silent

if TYPE_CHECKING:
    from zogan.config import Config
    from zogan.sparse.selection import Selection
    from zogan.tasks.job import Job
    from zogan.train.estimator import Estimate
    from zogan.train.job import Tuned
    from zogan.train.loop import Watch


def tune(
    config: Config | Job | Path | str | Mapping[str, Any],
    *,
    selection: Selection | None = None,
    checkpoint: Path | None = None,
    log: Path | None = None,
    progress: Progress = Silent(),
    watch: Watch | None = None,
) -> Tuned:
    """Tune the configured base on the configured data, and return the patch.

    Args:
        config: a configuration, the path of a zogan.yaml, a mapping of its keys, or a job that is open already.
        selection: the weights to train; made by the `select:` section where absent.
        checkpoint: folder for the state, from which a killed run goes on; none is kept where absent.
        log: file to which JSON lines of steps and epochs are appended.
        progress: who is told how far it is.
        watch: is given each epoch's figures as it ends, those before a checkpoint that is taken up too; what it raises
            ends the training, which a checkpoint takes up again.

    Returns:
        The patch, the figures of each epoch, and how many parameters trained.

    Raises:
        ZoganError: configuration, data or base are not as they must be, or the loss is not finite.
    """
    from zogan.config import as_config
    from zogan.tasks import open_job
    from zogan.tasks.job import Job
    from zogan.train.job import tune_job

    job = config if isinstance(config, Job) else open_job(as_config(config), progress=progress)
    return tune_job(job, selection, checkpoint=checkpoint, log=log, progress=progress, watch=watch)


def estimate(config: Config | Job | Path | str | Mapping[str, Any], *, progress: Progress = Silent()) -> list[Estimate]:
    """Time, memory and file size of tuning with each method, before any is run.

    Ten seconds of a few of the model's layers give this machine's pace; they are kept, and found by the next call.

    Args:
        config: a configuration, the path of a zogan.yaml, a mapping of its keys, or a job that is open already.
        progress: who is told how far it is.

    Returns:
        One for the head alone where there is a new one, for sparse at some depths, for LoRA where PEFT is installed,
        and for full fine-tuning.

    Raises:
        ZoganError: configuration, data or base are not as they must be.
    """
    from zogan.config import as_config
    from zogan.tasks import open_job
    from zogan.tasks.job import Job
    from zogan.train.calibration import calibrate
    from zogan.train.estimator import Estimator

    job = config if isinstance(config, Job) else open_job(as_config(config), progress=progress)
    estimator = Estimator(job, calibrate(job, progress=progress))
    return [estimator.estimate(setting) for setting in estimator.settings()]
