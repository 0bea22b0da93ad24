"""Few rows: folds of them choose the number of epochs and how far to go, then all of them are trained on."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from accelerate import PartialState

from zogan.data.folds import folds
from zogan.errors import ConfigError, IntegrityError
from zogan.progress import Progress
from zogan.sparse.selection import Selection
from zogan.tasks.job import Job
from zogan.train.depth import at_depth, selection_for
from zogan.train.epochs import Folded, choose
from zogan.train.job import Tuned, config_digest, key_of, learn, tune_job
from zogan.train.loop import Epoch, epoch_of, point_of
from zogan.train.regularize import Point, best_of

ALL = "all"
"""Folder of the last run's checkpoint, on all rows."""


def tune_by_folds(
    job: Job, selection: Selection | None, *, checkpoint: Path | None, log: Path | None, progress: Progress
) -> Tuned:
    """Train once with each fold held out, for all epochs; then on all rows, for as many as the folds found best.

    A fold's weights are chosen on its own training rows, at the depth of the selection for all of them, so that no row
    has a part in what it is held out from. The last run has the schedule of the folds' and stops where they say. A fold
    that is through is not run again after a kill. Where `regularize.interpolate` asks for points between old and new
    values, the folds say which of them the last run ends at.

    Args:
        job: base, rows and task, with `train.folds`; no row stands in validation.
        selection: the weights to train on all rows; made by the `select:` section where absent.
        checkpoint: folder for the state of each run; none is kept where absent.
        log: file to which JSON lines of the last run and of the folds are appended.
        progress: who is told how far it is.

    Raises:
        ConfigError: the job has no folds.
        DataError: fewer different inputs than folds.
        IntegrityError: what a fold has left is damaged.
    """
    number = job.config.train.folds
    if number is None:
        raise ConfigError("is not given", where="train.folds")
    if job.config.method == "sparse" and selection is None:
        selection = selection_for(job, progress=progress)
    each = at_depth(_all_epochs(job), selection.meta.get("depth", "all") if selection else "all")
    parts = folds(job.splits.train, number, seed=job.config.data.seed, where="train.folds")
    with ExitStack() as stack:
        folder = checkpoint or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zogan-")))
        through: list[_Fold] = []
        seconds = 0.0
        for place, held_out in enumerate(parts, 1):
            progress.note(f"fold {place} of {number}: {len(held_out):,} rows are held out")
            through.append(_fold(each.holding_out(held_out), folder / f"fold-{place}", progress))
            seconds += through[-1].seconds_before
        folded = choose([fold.epochs for fold in through], [fold.around for fold in through])
        progress.note(_sentence(folded))
        tuned = tune_job(job, selection, checkpoint=folder / ALL, log=log, progress=progress, known=folded.known)
    if log is not None and PartialState().is_main_process:
        _write(log, folded)
    return replace(tuned, folds=folded, seconds_before=tuned.seconds_before + seconds)


def _all_epochs(job: Job) -> Job:
    """The same job, once: every epoch is run, so that each has a mean over all folds."""
    train = job.config.train.model_copy(update={"folds": None, "patience": None})
    return job.under(job.config.model_copy(update={"train": train}))


@dataclass(frozen=True)
class _Fold:
    """A fold that is through.

    Attributes:
        epochs: their figures.
        around: of each the points between old values and its own, where they were asked for.
        seconds_before: that runs before this one have spent on it.
    """

    epochs: tuple[Epoch, ...]
    around: tuple[tuple[Point, ...], ...]
    seconds_before: float


def _fold(job: Job, folder: Path, progress: Progress) -> _Fold:
    file = folder.with_suffix(".json")
    key = key_of(job, {"config": config_digest(job.config), "data": job.splits.digest})
    if (kept := _read(file, key)) is not None:
        return kept
    trained = learn(job, None, checkpoint=folder, log=None, progress=progress, around=True).trained
    if PartialState().is_main_process:
        tree = {
            "key": key,
            "epochs": [asdict(epoch) for epoch in trained.epochs],
            "around": [[asdict(point) for point in epoch] for epoch in trained.around],
        }
        partial = file.with_name(file.name + ".partial")
        partial.write_text(json.dumps(tree), encoding="utf-8")
        partial.replace(file)
        shutil.rmtree(folder, ignore_errors=True)
    return _Fold(trained.epochs, trained.around, trained.seconds_before)


def _read(file: Path, key: str) -> _Fold | None:
    if not file.is_file():
        return None
    try:
        tree: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if tree["key"] != key:
            return None
        epochs = tuple(epoch_of(kept) for kept in tree["epochs"])
        around = tuple(tuple(point_of(kept) for kept in epoch) for epoch in tree["around"])
        return _Fold(epochs, around, epochs[-1].seconds)
    except (ValueError, TypeError, LookupError) as error:
        what = f"cannot be read: {error}"
        raise IntegrityError(what, where=str(file), todo="Delete it: the fold is run again") from None


def _sentence(folded: Folded) -> str:
    best, chosen = folded.means[folded.best - 1], folded.means[folded.epochs - 1]
    way = f", {best_of(folded.points).share:.0%} of the way to their values" if folded.points else ""
    return (
        f"{len(folded.folds)} folds: {_epochs(folded.epochs)} on all rows{way} (validation {chosen.loss:.4f} in the "
        f"mean). The best mean score is after {folded.best} ({best.loss:.4f}); the earliest within its standard error "
        "is taken"
    )


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"


def _write(log: Path, folded: Folded) -> None:
    """After the lines of the last run: one of each epoch of each fold, and one of what they say together."""
    lines: list[dict[str, Any]] = []
    for place, fold in enumerate(folded.folds, 1):
        lines += [{"kind": "fold", "fold": place, **asdict(epoch)} for epoch in fold]
    lines.append({"kind": "folds", **folded.as_json()})
    with log.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
