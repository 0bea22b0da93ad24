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
    from zogan.train.labels import LabelCheck
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
        The patch, the figures of each epoch, and how many parameters trained; where `train.folds` is given, those of
        the folds too.

    Raises:
        ZoganError: configuration, data or base are not as they must be, or the loss is not finite.
    """
    from zogan.config import as_config
    from zogan.tasks import open_job
    from zogan.tasks.job import Job
    from zogan.train.folds import tune_by_folds
    from zogan.train.job import tune_job

    job = config if isinstance(config, Job) else open_job(as_config(config), progress=progress)
    if job.config.train.folds is not None:
        return tune_by_folds(job, selection, checkpoint=checkpoint, log=log, progress=progress)
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


def check_labels(config: Config | Job | Path | str | Mapping[str, Any], *, progress: Progress = Silent()) -> LabelCheck:
    """Say which training rows may have a wrong label, by confident learning (arXiv:1911.00068). No row is changed.

    Each fifth of the rows is judged by a logistic regression on the base's frozen features of the others.

    Args:
        config: a configuration of a classification, the path of a zogan.yaml, a mapping of its keys, or a job that is
            open already.
        progress: who is told how far it is.

    Returns:
        The rows in doubt with place, label, the label that fits better and both probabilities; how many there are, and
        the share of labels that is taken to be wrong.

    Raises:
        ConfigError: the task is not classification.
        DataError: too few rows to hold any out.
        ZoganError: configuration, data or base are not as they must be.
    """
    from zogan.config import as_config
    from zogan.tasks import open_job
    from zogan.tasks.job import Job
    from zogan.train.labels import check_job

    job = config if isinstance(config, Job) else open_job(as_config(config), progress=progress)
    return check_job(job, progress=progress)
