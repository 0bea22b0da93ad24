"""How a protocol stands: what it is now, what was frozen, what changed since, and how often was looked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zogan.evaluate.protocol import lock, looks
from zogan.evaluate.protocol.changes import Changes, changes
from zogan.evaluate.protocol.late import after_file, after_looks
from zogan.evaluate.protocol.lock import Lock
from zogan.evaluate.protocol.protocol import Protocol, in_full
from zogan.evaluate.protocol.sample import Sample, sample
from zogan.tasks.job import Job


@dataclass(frozen=True)
class State:
    """A protocol at hand, and the frozen one where there is one.

    Attributes:
        protocol: at hand, in full.
        test: the rows at hand.
        path: of the freeze in force; None without one, as are `frozen` and `changes`.
        frozen: what was frozen.
        changes: what is otherwise since.
        looks: how often a patch was measured on the test rows at hand.
    """

    protocol: Protocol
    test: Sample
    path: Path | None
    frozen: Lock | None
    changes: Changes | None
    looks: int


def state(job: Job, beside: Path) -> State:
    """How the protocol of a job stands.

    Args:
        job: what is tuned.
        beside: the configuration's folder; a freeze in the run's own folder goes before one there.

    Raises:
        ConfigError: the protocol does not fit the job.
        DataError: a slice has no row.
        IntegrityError: the freeze, or a line of the looks, is damaged.
    """
    protocol, test = in_full(job), sample(job.splits.test, job.config.protocol.slices)
    path = lock.find(job.config.output, beside)
    frozen = lock.read(path) if path is not None else None
    changed = None if frozen is None else changes(frozen, protocol, test)
    seen = 0 if path is None else looks.count_looks(path.parent / looks.NAME, test.sha256)
    return State(protocol, test, path, frozen, changed, seen)


def too_late(run: Path, folder: Path, test: Sample) -> tuple[str, ...]:
    """Why a freeze that is made now confirms nothing; empty where it is in time.

    Args:
        run: folder of the run.
        folder: where it will be frozen, with the looks beside it.
        test: the rows at hand.
    """
    reasons = []
    if (run / "patch.safetensors").exists():
        reasons.append(after_file("after_patch", f"{run.name}/patch.safetensors"))
    if (run / "evaluation.json").exists():
        reasons.append(after_file("after_evaluation", f"{run.name}/evaluation.json"))
    if seen := looks.count_looks(folder / looks.NAME, test.sha256):
        reasons.append(after_looks(seen))
    return tuple(reasons)
