"""The prefix cache: computed once for each row, by the model in memory or by one that is read layer by layer."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, runtime_checkable

import psutil
from filelock import FileLock, Timeout
from jaxtyping import Float
from torch import Tensor, nn

from zogan.config import Config
from zogan.data.batch import ordered
from zogan.errors import RunError
from zogan.models.cut import Cut
from zogan.models.lean import Lean
from zogan.progress import Progress
from zogan.tasks.job import Job, Split
from zogan.tasks.task import Example
from zogan.train.forward import Forward, as_trained, run_of
from zogan.train.hidden import LOCK, VALUES, HiddenStates, SomeStates, States, bytes_wanted, known, make_room

FORMAT = "zogan-prefix/1"
SAVE_EVERY_SECONDS = 5.0
DISK_LIMIT = 20 * 10**9
"""Bytes of caches in the user's cache folder; those used longest ago go first."""


@runtime_checkable
class Filler(Protocol):
    """Computes what enters a cut.

    Attributes:
        cut: that the states enter.
        forward: how the rows come there.
    """

    cut: Cut
    forward: Forward

    def probe(self, example: Example) -> Float[Tensor, "1 time dim"]:
        """What enters the cut for one row."""

    def fill(
        self, states: HiddenStates, examples: Sequence[Example], batches: list[list[int]], progress: Progress
    ) -> None:
        """Compute the batches that are not done yet."""


def filled(job: Job, split: Split, filler: Filler, progress: Progress) -> States:
    """The states of a split, from the user's cache folder or computed now.

    Where the job's rows are some of another's, that one's are computed, once for all its parts.

    Raises:
        RunError: the disk is too full for them.
    """
    if job.part is not None and split in job.part.rows:
        return SomeStates(_filled(job.part.whole, "train", filler, progress), job.part.rows[split])
    return _filled(job, split, filler, progress)


def _filled(job: Job, split: Split, filler: Filler, progress: Progress) -> HiddenStates:
    forward, examples = filler.forward, job.examples(split)
    lengths = [len(example.ids) for example in examples]
    batches = ordered(lengths, forward.size)
    folder = job.cache / "prefix" / _key(job, examples, filler)
    make_room(folder.parent, folder, DISK_LIMIT)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder, progress):
        found = known(folder)
        if found is None:
            hidden = filler.probe(min(examples, key=lambda example: len(example.ids)))
            found = hidden.shape[2], hidden.dtype
        dim, computed = found
        dtype = forward.kept or computed
        _enough(folder, bytes_wanted(lengths, dim, dtype))
        states = HiddenStates(folder, lengths, dim, dtype, computed, resident=resident_bytes(job.config))
        (folder / VALUES).touch()
        if states.done < len(batches):
            filler.fill(states, examples, batches, progress)
    return states


class Whole:
    """By the whole model in memory, as it is trained.

    Args:
        job: whose task runs.
        model: the job's; its device is where it is computed.
        cut: that the states enter.
    """

    def __init__(self, job: Job, model: nn.Module, cut: Cut) -> None:
        self.job, self.model, self.cut, self.forward = job, model, cut, as_trained(job)

    def probe(self, example: Example) -> Float[Tensor, "1 time dim"]:
        """See `Filler`."""
        with self.forward.running(self.model):
            return self.cut.capture(run_of(self.job, self.model, [example]))

    def fill(
        self, states: HiddenStates, examples: Sequence[Example], batches: list[list[int]], progress: Progress
    ) -> None:
        """See `Filler`."""
        progress.start("cache", len(batches))
        with self.forward.running(self.model):
            _capture(self.job, self.model, self.cut, states, None, examples, batches, progress.advance)


class Streamed:
    """By a model of which some layers at a time are read from its folder: all batches run through them before the next.

    What enters each of these parts is kept beside the cache until the next is whole, so that a run that was killed goes
    on from there.

    Args:
        job: whose task runs.
        lean: the job's model.
        index: of the first layer above the cut.
        at_once: layers in memory.
        forward: how the rows go through them.
    """

    def __init__(self, job: Job, lean: Lean, index: int, at_once: int, forward: Forward) -> None:
        self.job, self.lean, self.at_once, self.forward = job, lean, at_once, forward
        self.cut = Cut(lean.model, lean.stack, index)
        self._ends = [*range(at_once, index, at_once), index]
        self._known = False

    def probe(self, example: Example) -> Float[Tensor, "1 time dim"]:
        """See `Filler`. Of the first part: what enters any layer has its form."""
        self.learn(example)
        self.lean.hold(0, self._ends[0])
        with self.forward.running(self.lean.model):
            return self.cut.at(self._ends[0]).capture(run_of(self.job, self.lean.model, [example]))

    def fill(
        self, states: HiddenStates, examples: Sequence[Example], batches: list[list[int]], progress: Progress
    ) -> None:
        """See `Filler`."""
        self.learn(min(examples, key=lambda example: len(example.ids)))
        parts = [self._part(states, end) for end in self._ends[:-1]] + [states]
        done = [part.done for part in parts]
        first = max((place + 1 for place, count in enumerate(done) if count == len(batches)), default=0)
        progress.start("cache", len(batches) * len(parts))
        for place in range(first, len(parts)):
            start, end = ([0, *self._ends])[place], self._ends[place]
            self.lean.hold(start, end, first=self.cut.needs_first)
            source = (self.cut.at(start), parts[place - 1]) if place else None
            before = place * len(batches)
            with self.forward.running(self.lean.model):
                _capture(
                    self.job,
                    self.lean.model,
                    self.cut.at(end),
                    parts[place],
                    source,
                    examples,
                    batches,
                    partial(_advance, progress, before),
                )
            if place:
                shutil.rmtree(parts[place - 1].folder)
        self.lean.hold(0, 0)

    def _part(self, states: HiddenStates, end: int) -> HiddenStates:
        # As they come: what runs layer by layer gives the same bits as what runs at once.
        folder = states.folder / f"layer-{end}"
        return HiddenStates(
            folder, states.lengths, states.dim, states.computed, states.computed, resident=states.resident
        )

    def learn(self, example: Example) -> None:
        """See with the first layers how they pass on what they are given, and that a replay of them is the same."""
        if self._known:
            return
        self.lean.hold(0, self._ends[0])
        first = self.cut.at(self._ends[0])
        with self.forward.running(self.lean.model):
            first.check(run_of(self.job, self.lean.model, [example]), whole=False)
        self.cut.before |= first.before
        self._known = True


def _capture(
    job: Job,
    model: nn.Module,
    cut: Cut,
    states: HiddenStates,
    source: tuple[Cut, HiddenStates] | None,
    examples: Sequence[Example],
    batches: list[list[int]],
    advance: Callable[[int], None],
) -> None:
    """Run the batches that are not done up to the cut, from the ids or from what entered a lower one."""
    saved = time.monotonic()
    device = next(model.parameters()).device
    for place in range(states.done, len(batches)):
        rows = batches[place]
        from_below = source[0].replay(source[1].read(rows).to(device)) if source else nullcontext()
        with from_below:
            states.write(rows, cut.capture(run_of(job, model, [examples[row] for row in rows])))
        advance(place + 1)
        if time.monotonic() - saved > SAVE_EVERY_SECONDS:
            states.mark(place + 1)
            saved = time.monotonic()
    states.mark(len(batches))


def _advance(progress: Progress, before: int, count: int) -> None:
    progress.advance(before + count)


def _key(job: Job, examples: Sequence[Example], filler: Filler) -> str:
    """Of all that the states hang on: base, tokens of each row, place, batches and dtypes; no seed is in it."""
    cut = filler.cut
    sha = hashlib.sha256()
    for example in examples:
        sha.update(json.dumps(example.ids).encode())
    about = [FORMAT, version("torch"), version("transformers"), job.base.fingerprint.whole, sha.hexdigest(), str(cut)]
    about += [str(job.dtype), repr(filler.forward)]
    about += [next(cut.model.parameters()).device.type]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:32]


def resident_bytes(config: Config) -> int:
    """So many bytes of a cache may stay in memory; where that has a bound, it is for the model."""
    if config.train.cache_memory is not None:
        return config.train.cache_memory
    return 0 if config.budget.memory is not None else int(psutil.virtual_memory().total // 4)


def _enough(folder: Path, wanted: int) -> None:
    there = (folder / VALUES).stat().st_size if (folder / VALUES).is_file() else 0
    free = shutil.disk_usage(folder).free
    if free < wanted - there:
        raise RunError(
            f"the prefix cache needs {wanted / 1e9:,.1f} GB and {free / 1e9:,.1f} GB are free",
            where=str(folder.parent),
            todo="Make room, keep less with --set train.cache_dtype=bf16, or do without it: --set train.cache=off",
        )


@contextmanager
def _alone(folder: Path, progress: Progress) -> Iterator[None]:
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        progress.note("another zogan computes the same prefix cache: waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
