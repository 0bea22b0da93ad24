"""How fast this machine runs a job's layers, and what memory a step of them takes: a few of them, for some seconds.

The model's own layers with random values, at the job's own batches. What a layer costs is the difference between models
of few and of fewer layers; what is left is the price of everything else: embeddings, head and loss. Memory is what the
process takes meanwhile, with the holes that its allocator leaves, and at least what autograd keeps.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial as bound
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from zogan.data.batch import batch_size, bucketed
from zogan.models.cut import stacks
from zogan.models.device import device, finish, onto_device
from zogan.progress import Progress, Silent
from zogan.select import select
from zogan.select.eligible import VECTORS, vectors
from zogan.tasks.inference import evaluating, to_device
from zogan.tasks.job import Job
from zogan.tasks.task import Batch
from zogan.train.cost import Volume, volume
from zogan.train.meter import give_back, growth, resident, trim
from zogan.train.methods import method_for
from zogan.train.plan import program_bytes
from zogan.weights import headers, read_tensor

SECONDS = 6.0
"""For timing all kinds together; measuring what memory they take comes to as much again."""

KEPT_TOKENS = 2048
"""Memory is measured on as many rows of the largest batch as this allows, and grows with their number."""

COUNTS = (1, 3)
"""Layers of the two models."""

ROUNDS = 7
"""Of each kind at most: on a small model they are enough."""

KINDS = ("forward", "select", "sparse", "lora", "full")

Run = Callable[[], object]


@dataclass(frozen=True)
class Pace:
    """One way to run the model, on the calibration's batch.

    Attributes:
        layer: seconds for each layer.
        rest: seconds outside of the layers.
        layer_bytes: by which each layer raises the peak of a step on the largest batch.
        rest_bytes: that the step takes besides.
        optimiser: seconds of AdamW for each weight that trains; 0 where it was not timed.
        seconds: that measuring took.
        left_bytes: that the process held more than before, when no model was left: code of kernels, and their buffers.
    """

    layer: float
    rest: float
    layer_bytes: int = 0
    rest_bytes: int = 0
    optimiser: float = 0.0
    seconds: float = 0.0
    left_bytes: int = 0


@dataclass(frozen=True)
class Calibration:
    """What a machine does with a job's model.

    Attributes:
        volume: of the batch that was timed.
        paces: of each kind of run.
        read: seconds for each byte that is read from the base's folder into memory.
    """

    volume: Volume
    paces: dict[str, Pace]
    read: float

    @property
    def seconds(self) -> float:
        """That measuring took."""
        return sum(pace.seconds for pace in self.paces.values())

    @property
    def left_bytes(self) -> int:
        """That a process holds once a model has run in it, besides what it takes without one."""
        return max((pace.left_bytes for pace in self.paces.values()), default=0)


def kinds_for(method: str) -> tuple[str, ...]:
    """The kinds of run that a method's cost is made of."""
    return {"head": ("forward",), "sparse": ("forward", "select", "sparse", "full")}.get(method, ("forward", method))


def calibrate(job: Job, kinds: Sequence[str] = (), *, anew: bool = False, progress: Progress = Silent()) -> Calibration:
    """Measure, or take what an earlier call measured for the same model, batches and machine.

    Args:
        job: base, rows and options.
        kinds: of `KINDS`; all that can run here where absent.
        anew: measure in any case.
        progress: who is told how far it is.
    """
    examples, settings = job.examples("train"), job.config.train
    lengths = [len(example.ids) for example in examples]
    batches = bucketed(lengths, batch_size(settings), seed=settings.seed, epoch=0)
    batches.sort(key=lambda rows: volume(job, "train", [rows]).tokens)
    typical, largest = batches[len(batches) // 2], batches[-1]
    kinds = kinds or [kind for kind in KINDS if kind != "lora" or find_spec("peft") is not None]
    paces: dict[str, Pace] = {}
    files: dict[str, Path] = {}  # of those that are measured here
    program = program_bytes()  # before there is any model
    made: list[tuple[nn.Module, int]] = []
    if job.config.budget.memory is not None:
        give_back()
    progress.start("calibrate", len(kinds))
    for done, kind in enumerate(kinds, start=1):
        file = job.cache / "calibration" / f"{_key(job, kind, [typical, largest])}.json"
        known = None if anew else _known(file)
        if known is None:
            made = made or [few_layers(job, count) for count in COUNTS]
            known, files[kind] = _pace(job, kind, made, typical, largest), file
        paces[kind] = known
        progress.advance(done)
    made.clear()
    trim()  # what was measured with is not to count for what comes next
    left = max(resident() - program, 0)
    for kind, file in files.items():
        paces[kind] = replace(paces[kind], left_bytes=left)
        _keep(file, paces[kind])
    return Calibration(volume(job, "train", [typical]), paces, _read(job))


def few_layers(job: Job, count: int) -> tuple[nn.Module, int]:
    """The job's model with random values and so many of its layers, and how many those are."""
    model = job.task.model(seed=job.config.train.seed, dtype=job.dtype, empty=True)
    layers = next(iter(stacks(model).values()), None)
    if layers is not None:
        del layers[count:]
    made: dict[int, nn.Parameter] = {}
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is None or not parameter.is_meta:
                continue
            if id(parameter) not in made:
                values = torch.empty(parameter.shape, dtype=parameter.dtype)
                made[id(parameter)] = nn.Parameter(values.normal_(0.0, 0.02, generator=generator))
            module._parameters[name] = made[id(parameter)]
    return model, 1 if layers is None else len(layers)


def _pace(job: Job, kind: str, made: Sequence[tuple[nn.Module, int]], typical: list[int], largest: list[int]) -> Pace:
    """What a kind of run costs."""
    begun = time.perf_counter()
    few, more = ((copy.deepcopy(model), layers) for model, layers in made)
    batch = _collated(job, typical)
    longest = max(len(job.examples("train")[row].ids) for row in largest)
    part = largest[: max(1, KEPT_TOKENS // longest)]
    grown = len(largest) / len(part)
    runs, taken, optimiser = [], [], 0.0
    for model, _ in (few, more):
        run, measured, stepped = _runner(job, kind, onto_device(model), batch, _collated(job, part))
        runs.append(run)
        taken.append(int(grown * measured))
        optimiser = stepped
    times: list[list[float]] = [[] for _ in runs]
    end = time.perf_counter() + SECONDS / len(KINDS)
    for run in runs:
        run()  # the first makes what later ones find
    while not times[-1] or (time.perf_counter() < end and len(times[0]) < ROUNDS):
        for place, run in enumerate(runs):
            start = time.perf_counter()
            run()
            finish()
            times[place].append(time.perf_counter() - start)
    one, other = map(min, times)  # what else runs on the machine only adds
    between = more[1] - few[1]
    if not between:  # a model of one layer: all of it is that layer
        return Pace(other, 0.0, taken[1], 0, optimiser, time.perf_counter() - begun)
    layer, layer_bytes = max(other - one, 0.0) / between, max(taken[1] - taken[0], 0) // between
    rest, rest_bytes = max(one - few[1] * layer, 0.0), max(taken[0] - few[1] * layer_bytes, 0)
    return Pace(layer, rest, layer_bytes, rest_bytes, optimiser, time.perf_counter() - begun)


def _runner(job: Job, kind: str, model: nn.Module, batch: Batch, largest: Batch) -> tuple[Run, int, float]:
    """What is timed; bytes that a step on the largest batch takes; AdamW's seconds for each weight."""
    task, config = job.task, job.config

    def mean(model: nn.Module, batch: Batch) -> Tensor:
        with torch.autocast(next(model.parameters()).device.type, job.activations, enabled=job.activations is not None):
            total, targets = task.loss(model, batch)
        return total / targets

    def forward() -> None:
        with evaluating(model):
            mean(model, batch)

    choose = bound(
        select,
        model,
        [batch, batch],
        density=config.budget.density,
        # Random values would put all that is chosen into a few matrices; of a real base's almost each has some.
        allocation="row" if config.select.allocation == "row" else "tensor",
        pattern=config.select.pattern,
        block=config.select.block,
        loss=mean,
        parameters=[name for name in config.select.parameters if name not in VECTORS] or ["matrices"],
        whole=task.head(model),
    )
    if kind == "forward":
        return forward, 0, 0.0
    if kind == "select":
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        return choose, 0, 0.0
    selection = choose() if kind == "sparse" else None
    if selection is not None:
        # Beside the elements and not in place of some: in so few layers they may be more than the share.
        loose = vectors(model, config.select.parameters, whole=selection.whole)
        whole = (*selection.whole, *(name for group in loose.values() for name in group))
        selection = replace(selection, whole=whole)
    method_for(config.model_copy(update={"method": kind}), job, model, selection).prepare(model)
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]

    def step(rows: Batch = batch) -> None:
        mean(model, rows).backward()  # type: ignore[no-untyped-call]
        for parameter in trained:
            parameter.grad = None

    def both() -> None:
        step()
        step(largest)

    step()
    taken = max(kept_bytes(model, lambda: mean(model, largest)), growth(both))
    if kind != "full":
        return step, taken, 0.0
    optimizer = torch.optim.AdamW(trained, lr=1e-9, fused=True)
    mean(model, batch).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    start = time.perf_counter()
    optimizer.step()
    optimiser = (time.perf_counter() - start) / sum(p.numel() for p in trained)
    optimizer.zero_grad()
    return step, taken, optimiser


def kept_bytes(model: nn.Module, run: Callable[[], Tensor]) -> int:
    """Bytes that autograd keeps for backward besides the model's own tensors."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    seen: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # a node that keeps its own output would never be freed

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = run()
    del loss
    return sum(seen.values())


def _collated(job: Job, rows: list[int]) -> Batch:
    return to_device(job.task.collate([job.examples("train")[row] for row in rows]), device())


def _read(job: Job) -> float:
    """Seconds for each byte of the folder's largest tensor, read as loading does it."""
    info = max(headers(job.base.folder).values(), key=lambda info: info.nbytes)
    start = time.perf_counter()
    read_tensor(info).clone()
    return (time.perf_counter() - start) / max(info.nbytes, 1)


def _key(job: Job, kind: str, batches: list[list[int]]) -> str:
    options = job.config.model_dump(mode="json", include={"select", "lora"})
    seen = [
        kind,
        job.base.fingerprint.whole,
        [asdict(volume(job, "train", [rows])) for rows in batches],
        options,
        job.config.budget.density,
        job.config.budget.memory is None,  # the allocator does as the budget asks
        job.config.train.precision,
        torch.get_num_threads(),
        torch.cuda.get_device_name() if device().type == "cuda" else device().type,
        {name: version(name) for name in ("zogan", "torch", "transformers")},
        sorted(field.name for field in fields(Pace)),  # one that an older build kept is measured anew
    ]
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()


def _known(file: Path) -> Pace | None:
    try:
        return Pace(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # not there, or of another version: measured anew
        return None


def _keep(file: Path, pace: Pace) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps(asdict(pace), indent=2) + "\n", encoding="utf-8")
    partial.replace(file)
