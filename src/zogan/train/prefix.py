"""The prefix cache: what enters the lowest layer that trains, computed once for each row and kept.

Nothing below that layer changes, so that its output for a row is the same in every epoch, every seed and every run on
the same base and rows.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from zogan.config import TrainConfig
from zogan.data.batch import ordered
from zogan.errors import RunError
from zogan.models.cut import Cut, CutError, stacks
from zogan.progress import Progress, Silent
from zogan.tasks.inference import evaluating, to_device
from zogan.tasks.job import Job, Split
from zogan.tasks.task import Batch, Example, Monitor
from zogan.train.feed import Rows
from zogan.train.hidden import DTYPES, LOCK, HiddenStates, bytes_wanted, make_room

FORMAT = "zogan-prefix/1"
SAVE_EVERY_SECONDS = 5.0
TOKENS_AT_ONCE = 4096
DISK_LIMIT = 20 * 10**9
"""Bytes of caches in the user's cache folder; those used longest ago go first."""


@dataclass(frozen=True)
class Frozen:
    """What of a model does not train, where its stack of layers is cut.

    Args:
        cut: below it nothing trains.
        names: parameters of the modules that are done when the cut is reached.
    """

    cut: Cut
    names: frozenset[str]


def cut_by_depth(job: Job, model: nn.Module, depth: int | str, progress: Progress = Silent()) -> Frozen | None:
    """Cut so that the topmost `depth` layers lie above; None where all do, or where the model cannot be cut."""
    if depth == "all":
        return None
    return _cut(job, model, lambda layers: len(layers) - int(depth), frozenset(), progress)


def cut_by_training(job: Job, model: nn.Module, progress: Progress = Silent()) -> Frozen | None:
    """Cut below the lowest layer that trains; None where the lowest does, or where the model cannot be cut."""
    trained = frozenset(name for name, p in model.named_parameters() if p.requires_grad)

    def lowest(layers: nn.ModuleList) -> int:
        places = [place for place, layer in enumerate(layers) if any(p.requires_grad for p in layer.parameters())]
        return min(places, default=len(layers) - 1)

    return _cut(job, model, lowest, trained, progress)


def _cut(
    job: Job,
    model: nn.Module,
    index: Callable[[nn.ModuleList], int],
    trained: Collection[str],
    progress: Progress,
) -> Frozen | None:
    reason = "it has no list of like layers"
    for name, layers in stacks(model).items():
        if index(layers) < 1:
            return None
        cut = Cut(model, name, index(layers))
        try:
            _check(job, model, cut)
        except CutError as error:
            reason = str(error)
            continue
        frozen = Frozen(cut, _owned(model, cut.before))
        if not frozen.names & set(trained):
            return frozen
        reason = f"what trains lies below {cut} too"
    progress.note(f"the layers that do not train run in every epoch: {reason}")
    return None


def _check(job: Job, model: nn.Module, cut: Cut) -> None:
    """Two short rows show whether replaying is the same."""
    examples = sorted(job.examples("train"), key=lambda example: len(example.ids))[:2]
    batch = to_device(job.task.collate(examples), next(model.parameters()).device)
    with evaluating(model), _activations(model, job.config.train.precision):
        cut.check(lambda: job.task.loss(model, batch)[0])


def _owned(model: nn.Module, modules: frozenset[nn.Module]) -> frozenset[str]:
    """Parameters that no other module has."""
    inside = {id(p) for module in modules for p in module._parameters.values() if p is not None}
    return frozenset(name for name, p in model.named_parameters(remove_duplicate=False) if id(p) in inside)


class Prefixed(Rows):
    """Rows of which what enters the lowest trained layer is read from a cache.

    Args:
        job: base, rows and task.
        batch_size: rows in a validation batch.
        model: the job's; its device is where the cache is computed.
        cut: below it nothing trains.
        progress: told how far the cache is.
        splits: those that will be asked for.
    """

    def __init__(
        self,
        job: Job,
        batch_size: int,
        model: nn.Module,
        cut: Cut,
        *,
        progress: Progress = Silent(),
        splits: Sequence[Split] = ("train", "validation"),
    ) -> None:
        super().__init__(job, batch_size)
        self.cut, self.dtype = cut, torch.float32
        self.states: dict[Split, HiddenStates] = {}
        for split in splits:
            self.states[split], self.dtype = _filled(job, split, model, cut, progress)

    def batch(self, rows: list[int]) -> Batch:
        """The rows, collated, with what enters the cut: `hidden`, (rows, time, dim)."""
        return {**super().batch(rows), "hidden": self.states["train"].read(rows, self.dtype)}

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, int]:
        """Sum of losses, and number of targets."""
        rest = {name: tensor for name, tensor in batch.items() if name != "hidden"}
        resting(self.cut)
        with self.cut.replay(batch["hidden"]):
            return self.task.loss(model, rest)

    def monitor(self, model: nn.Module) -> Monitor:
        """Figures on the validation rows."""
        device = next(model.parameters()).device

        def enter(rows: list[int]) -> AbstractContextManager[None]:
            return self.cut.replay(self.states["validation"].read(rows, self.dtype).to(device))

        return self.task.monitor(model, self.held_out, self.batch_size, enter)


class Resting(Rows):
    """Rows through the whole model, of which the part below a cut rests: no dropout there.

    What `train.cache: off` gives: the same figures as from a cache, at the price of running that part in every epoch.
    """

    def __init__(self, job: Job, batch_size: int, cut: Cut) -> None:
        super().__init__(job, batch_size)
        self.cut = cut

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, int]:
        """Sum of losses, and number of targets."""
        resting(self.cut)
        return super().loss(model, batch)


def resting(cut: Cut) -> None:
    """Put what lies below a cut into evaluation mode: what does not train has no dropout."""
    for module in cut.before:
        module.training = False


def _filled(job: Job, split: Split, model: nn.Module, cut: Cut, progress: Progress) -> tuple[HiddenStates, torch.dtype]:
    """The states of a split, from the user's cache folder or computed now, and the dtype in which they go in."""
    settings, examples = job.config.train, job.examples(split)
    lengths = [len(example.ids) for example in examples]
    batches = _batches(lengths)
    with evaluating(model), _activations(model, settings.precision):
        shortest = min(range(len(lengths)), key=lambda row: lengths[row])
        hidden = cut.capture(_run(job, model, [examples[shortest]]))
    dtype = DTYPES[settings.cache_dtype] if settings.cache_dtype else hidden.dtype
    folder = job.cache / "prefix" / _key(job, examples, cut, hidden.dtype, dtype)
    wanted, resident = bytes_wanted(lengths, hidden.shape[2], dtype), resident_bytes(settings)
    make_room(folder.parent, 0 if folder.exists() else wanted, DISK_LIMIT)
    folder.mkdir(parents=True, exist_ok=True)
    _enough(folder, wanted)
    with _alone(folder, progress):
        states = HiddenStates(folder, lengths, hidden.shape[2], dtype, resident=resident)
        done = states.done
        (folder / "values").touch()
        if done < len(batches):
            _fill(job, split, model, cut, states, batches, done, progress)
    return states, hidden.dtype


def _fill(
    job: Job,
    split: Split,
    model: nn.Module,
    cut: Cut,
    states: HiddenStates,
    batches: list[list[int]],
    done: int,
    progress: Progress,
) -> None:
    examples, saved = job.examples(split), time.monotonic()
    progress.start("cache", len(batches))
    with evaluating(model), _activations(model, job.config.train.precision):
        for place in range(done, len(batches)):
            rows = batches[place]
            states.write(rows, cut.capture(_run(job, model, [examples[row] for row in rows])))
            progress.advance(place + 1)
            if time.monotonic() - saved > SAVE_EVERY_SECONDS:
                states.mark(place + 1)
                saved = time.monotonic()
    states.mark(len(batches))


def _run(job: Job, model: nn.Module, examples: Sequence[Example]) -> Callable[[], Tensor]:
    batch = to_device(job.task.collate(examples), next(model.parameters()).device)
    return lambda: job.task.loss(model, batch)[0]


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Longest rows first, each batch of about `TOKENS_AT_ONCE` tokens."""
    found: list[list[int]] = []
    for (row,) in ordered(lengths, 1):
        if not found or (len(found[-1]) + 1) * lengths[found[-1][0]] > TOKENS_AT_ONCE:
            found.append([])
        found[-1].append(row)
    return found


def _key(job: Job, examples: Sequence[Example], cut: Cut, computed: torch.dtype, kept: torch.dtype) -> str:
    """Of all that the states hang on: base, tokens of each row, place, and dtypes; seeds and settings are not in it."""
    sha = hashlib.sha256()
    for example in examples:
        sha.update(json.dumps(example.ids).encode())
    about = [FORMAT, version("torch"), version("transformers"), job.base.fingerprint.whole, sha.hexdigest(), str(cut)]
    about += [str(computed), str(kept), str(next(cut.model.parameters()).device.type), job.config.train.precision]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:32]


def resident_bytes(settings: TrainConfig) -> int:
    """So many bytes of a cache may stay in memory."""
    if settings.cache_memory is not None:
        return settings.cache_memory
    return int(psutil.virtual_memory().total // 4)


def _enough(folder: Path, wanted: int) -> None:
    there = (folder / "values").stat().st_size if (folder / "values").is_file() else 0
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


def _activations(model: nn.Module, precision: str) -> AbstractContextManager[Any]:
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    if dtype is None:
        return nullcontext()
    return torch.autocast(next(model.parameters()).device.type, dtype)
