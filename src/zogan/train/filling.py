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
import torch
from filelock import FileLock, Timeout
from jaxtyping import Float
from torch import Tensor, nn

from zogan.config import TrainConfig
from zogan.data.batch import Tokens, ordered
from zogan.errors import RunError
from zogan.models.cut import Cut
from zogan.models.lean import Lean
from zogan.progress import Progress
from zogan.tasks.inference import evaluating, to_device
from zogan.tasks.job import Job, Split
from zogan.tasks.task import Example
from zogan.train.hidden import DTYPES, LOCK, VALUES, HiddenStates, bytes_wanted, known, make_room

SPLITS: tuple[Split, ...] = ("train", "validation")
"""Rows that go through the model while it is tuned."""

FORMAT = "zogan-prefix/1"
SAVE_EVERY_SECONDS = 5.0
TOKENS_AT_ONCE = 4096
DISK_LIMIT = 20 * 10**9
"""Bytes of caches in the user's cache folder; those used longest ago go first."""


@runtime_checkable
class Filler(Protocol):
    """Computes what enters a cut."""

    cut: Cut

    def probe(self, example: Example) -> Float[Tensor, "1 time dim"]:
        """What enters the cut for one row."""

    def fill(
        self, states: HiddenStates, examples: Sequence[Example], batches: list[list[int]], progress: Progress
    ) -> None:
        """Compute the batches that are not done yet."""


def filled(job: Job, split: Split, filler: Filler, progress: Progress) -> HiddenStates:
    """The states of a split, from the user's cache folder or computed now.

    Raises:
        RunError: the disk is too full for them.
    """
    settings, examples = job.config.train, job.examples(split)
    lengths = [len(example.ids) for example in examples]
    batches = ordered(lengths, Tokens(TOKENS_AT_ONCE))
    folder = job.cache / "prefix" / _key(job, examples, filler.cut)
    make_room(folder.parent, folder, DISK_LIMIT)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder, progress):
        found = known(folder)
        if found is None:
            hidden = filler.probe(min(examples, key=lambda example: len(example.ids)))
            found = hidden.shape[2], hidden.dtype
        dim, computed = found
        dtype = DTYPES[settings.cache_dtype] if settings.cache_dtype else computed
        _enough(folder, bytes_wanted(lengths, dim, dtype))
        states = HiddenStates(folder, lengths, dim, dtype, computed, resident=resident_bytes(settings))
        (folder / VALUES).touch()
        if states.done < len(batches):
            filler.fill(states, examples, batches, progress)
    return states


class Whole:
    """By the whole model in memory.

    Args:
        job: whose task runs.
        model: the job's; its device is where it is computed.
        cut: that the states enter.
    """

    def __init__(self, job: Job, model: nn.Module, cut: Cut) -> None:
        self.job, self.model, self.cut = job, model, cut

    def probe(self, example: Example) -> Float[Tensor, "1 time dim"]:
        """See `Filler`."""
        with running(self.job, self.model):
            return self.cut.capture(run_of(self.job, self.model, [example]))

    def fill(
        self, states: HiddenStates, examples: Sequence[Example], batches: list[list[int]], progress: Progress
    ) -> None:
        """See `Filler`."""
        progress.start("cache", len(batches))
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
    """

    def __init__(self, job: Job, lean: Lean, index: int, at_once: int) -> None:
        self.job, self.lean, self.at_once = job, lean, at_once
        self.cut = Cut(lean.model, lean.stack, index)
        self._ends = [*range(at_once, index, at_once), index]
        self._known = False

    def probe(self, example: Example) -> Float[Tensor, "1 time dim"]:
        """See `Filler`. Of the first part: what enters any layer has its form."""
        self.learn(example)
        self.lean.hold(0, self._ends[0])
        with running(self.job, self.lean.model):
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
        with running(self.job, self.lean.model):
            self.cut.at(self._ends[0]).check(run_of(self.job, self.lean.model, [example]), whole=False)
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
    with running(job, model):
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


def run_of(job: Job, model: nn.Module, examples: Sequence[Example]) -> Callable[[], Tensor]:
    """One run of the model on some rows."""
    batch = to_device(job.task.collate(examples), next(model.parameters()).device)
    return lambda: job.task.loss(model, batch)[0]


def _key(job: Job, examples: Sequence[Example], cut: Cut) -> str:
    """Of all that the states hang on: base, tokens of each row, place, and dtypes; seeds and settings are not in it."""
    sha = hashlib.sha256()
    for example in examples:
        sha.update(json.dumps(example.ids).encode())
    settings = job.config.train
    about = [FORMAT, version("torch"), version("transformers"), job.base.fingerprint.whole, sha.hexdigest(), str(cut)]
    about += [str(job.dtype), settings.precision, str(settings.cache_dtype)]
    about += [next(cut.model.parameters()).device.type]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:32]


def resident_bytes(settings: TrainConfig) -> int:
    """So many bytes of a cache may stay in memory."""
    if settings.cache_memory is not None:
        return settings.cache_memory
    return int(psutil.virtual_memory().total // 4)


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


@contextmanager
def running(job: Job, model: nn.Module) -> Iterator[None]:
    """Evaluation mode, no gradient, and activations in the dtype that training gives them."""
    device, dtype = next(model.parameters()).device.type, job.activations
    with evaluating(model), torch.autocast(device, dtype) if dtype else nullcontext():
        yield
