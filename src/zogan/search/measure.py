"""One setting, tuned and scored on the validation rows, which are all that a search learns from."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from filelock import FileLock

from zogan.data.prepare import digest
from zogan.data.split import stratified
from zogan.errors import DataError
from zogan.progress import Progress
from zogan.search.halving import REDUCTION, Rung, epochs_at_rung, few
from zogan.select.storage import load_selection, save_selection
from zogan.sparse.selection import Selection
from zogan.tasks.job import Job
from zogan.train import tune
from zogan.train.depth import selection_for, selection_reads
from zogan.train.job import Tuned, digest_of
from zogan.train.loop import Epoch, Watch

Reached = Callable[[Rung, float, float], None]
"""Is given score and standard error at each rung; what it raises ends the trial."""


@dataclass(frozen=True)
class Outcome:
    """What a setting gave on the validation rows, and what it cost.

    Attributes:
        score: lower is better: share of wrong rows, or loss in nats a token.
        error: its standard error.
        loss: mean over the targets, nats; decides between settings with as many wrong rows.
        epochs: that were run over all rows, in both stages.
        seconds: of selection and training, as if no other trial had made the selection before.
        trainable: weights that train, a new head among them.
    """

    score: float
    error: float
    loss: float
    epochs: int
    seconds: float
    trainable: int


def without_test(job: Job) -> Job:
    """The same job, which has no test rows: what is searched with it cannot have seen them."""
    rows = {"train": job.splits.train, "validation": job.splits.validation, "test": ()}
    bare = Job(job.config, job.base, replace(job.splits, test=(), digest=digest(rows)), job.task, job.cache)
    bare.examples("train")  # once, for all trials
    bare.examples("validation")
    return bare


def first_rows(job: Job) -> Job | None:
    """The same job with the rows of the first rung; None where they are too few to tell anything."""
    if few(len(job.splits.train)) < job.config.search.rows:
        return None
    _, cut = stratified(job.splits.train, 1 / REDUCTION**2, job.config.data.seed)
    rows = {"train": cut, "validation": job.splits.validation, "test": ()}
    return Job(job.config, job.base, replace(job.splits, train=cut, digest=digest(rows)), job.task, job.cache)


def measure(
    job: Job, place: Path, shared: Path, *, reached: Reached, each: Callable[[], None], progress: Progress
) -> Outcome:
    """Tune and score a setting. Killed and called again it goes on, and ends with the same figures.

    Args:
        job: under the setting, without test rows.
        place: folder of this setting's checkpoints, and of its outcome once it is measured.
        shared: folder of the selections that settings share.
        reached: is given the score at each rung.
        each: called after each epoch; what it raises leaves the checkpoints, to go on from.
        progress: who is told how far it is.

    Raises:
        ZoganError: the setting does not fit the base, the rows or the memory; its loss is not finite.
    """
    config = job.config
    place.parent.mkdir(parents=True, exist_ok=True)
    known = place / "outcome.json"
    with FileLock(place.with_name(place.name + ".lock")):  # who was taken for dead may yet be at work
        if known.exists():
            return Outcome(**json.loads(known.read_text(encoding="utf-8")))
        fewer = first_rows(job)
        if fewer is not None:
            at_first = kept(_tuned(fewer, place / "rows", shared, lambda _: each(), progress))
            reached("rows", at_first.validation_score[0], error_of(at_first))
        seen: list[Epoch] = []

        def watch(epoch: Epoch) -> None:
            seen.append(epoch)
            if epoch.epoch == epochs_at_rung(config.train.epochs):
                so_far = best(seen)
                reached("epochs", so_far.validation_score[0], error_of(so_far))
            each()

        tuned = _tuned(job, place / "all", shared, watch, progress)
        stages = [tuned.epochs, *([tuned.second.epochs] if tuned.second and tuned.second.epochs else [])]
        seconds = _selected(job, shared, progress)[1] + sum(epochs[-1].seconds for epochs in stages)
        end = kept(tuned)
        outcome = Outcome(
            score=end.validation_score[0],
            error=error_of(end),
            loss=end.validation_loss,
            epochs=sum(map(len, stages)),
            seconds=seconds,
            trainable=tuned.trainable,
        )
        partial = place / "outcome.json.partial"
        partial.write_text(json.dumps(asdict(outcome)), encoding="utf-8")
        partial.replace(known)
    return outcome


def best(epochs: Sequence[Epoch]) -> Epoch:
    """The epoch of the lowest score."""
    return min(epochs, key=lambda epoch: epoch.validation_score)


def kept(tuned: Tuned) -> Epoch:
    """The epoch whose values the patch holds: the second stage's best where that is kept, else the first's."""
    return best(tuned.second.epochs if tuned.second and tuned.second.kept else tuned.epochs)


def error_of(epoch: Epoch) -> float:
    """The standard error of its score.

    Raises:
        DataError: there are too few validation rows to have one.
    """
    if epoch.validation_error is None:
        raise DataError("a search needs two validation rows or more", where="validation", todo="Add rows")
    return epoch.validation_error


def _tuned(job: Job, checkpoint: Path, shared: Path, watch: Watch, progress: Progress) -> Tuned:
    selection, _ = _selected(job, shared, progress)
    return tune(job, selection=selection, checkpoint=checkpoint, progress=progress, watch=watch)


def _selected(job: Job, shared: Path, progress: Progress) -> tuple[Selection | None, float]:
    """The selection, and the seconds that it took whoever made it; no other setting that asks for the same makes it."""
    if job.config.method != "sparse":
        return None, 0.0
    key = digest_of([job.base.fingerprint.whole, job.splits.digest, job.task.describe(), selection_reads(job.config)])
    file = shared / f"{key[:24]}.safetensors"
    took = file.with_suffix(".json")
    shared.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        if not file.exists():
            start = time.perf_counter()
            selection = selection_for(job, progress=progress)
            took.write_text(json.dumps({"seconds": time.perf_counter() - start}), encoding="utf-8")
            save_selection(selection, file)  # last: with it, what it took stands too
        return load_selection(file), float(json.loads(took.read_text(encoding="utf-8"))["seconds"])
