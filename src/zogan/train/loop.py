"""The loop, the same for every method: AdamW over whatever trains, on `accelerate`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, broadcast
from torch import Tensor, nn
from transformers import get_scheduler

from zogan.config import TrainConfig
from zogan.data.batch import batch_counts, batch_size, bucketed
from zogan.errors import ZoganError
from zogan.models.device import onto_device
from zogan.progress import Progress
from zogan.tasks.task import Batch, Monitor
from zogan.train.checkpoint import Checkpoint
from zogan.train.feed import targets as targets_of
from zogan.train.regularize import Point, Restrained, Restraint, best_of
from zogan.train.reselect import Reselection, refuse_several

_SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}

_FUSED = ("cpu", "cuda", "xpu")
"""Kinds of device that torch has a fused AdamW for."""

_FREE = Restraint()
"""Nothing holds training back."""


@runtime_checkable
class Feed(Protocol):
    """Where the loop's batches and figures come from."""

    lengths: list[int]

    def batch(self, rows: list[int]) -> Batch:
        """The rows, collated."""

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, int]:
        """Sum of losses, and number of targets."""

    def monitor(self, model: nn.Module) -> Monitor:
        """Figures on the validation rows."""


@dataclass(frozen=True)
class Epoch:
    """One pass over the rows. Losses are means over targets, in nats; `score` is compared, lower is better.

    `validation_error` is the standard error of the score's first figure, over the validation rows.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    validation_score: tuple[float, ...]
    best: bool
    seconds: float
    validation_error: float | None = None


Watch = Callable[[Epoch], None]
"""Is given each epoch as it ends. What it raises ends the training, and the checkpoint stands."""


@dataclass(frozen=True)
class Trained:
    """How the training went.

    Attributes:
        epochs: the figures of each.
        seconds_before: wall seconds that a killed run had spent up to the checkpoint taken up.
        interpolation: points between old and new values that were validated afterwards, where that was asked for.
        log_bytes: of the log up to the last epoch.
        start: figures before the first step, where a fitted head was to be kept if no epoch is better.
        around: of each epoch the points between old values and its own, where all epochs were to be looked around.
    """

    epochs: tuple[Epoch, ...]
    seconds_before: float
    log_bytes: int
    interpolation: tuple[Point, ...] = ()
    start: Monitor | None = None
    around: tuple[tuple[Point, ...], ...] = ()


@dataclass(frozen=True)
class Known:
    """What folds have found out for a training on all rows.

    Attributes:
        monitors: validation figures of the first epochs, after the last of which training ends.
        points: between old values and those of that epoch, one of them the best; empty where the new ones are taken.
    """

    monitors: tuple[Monitor, ...]
    points: tuple[Point, ...] = ()


@dataclass(frozen=True)
class Part:
    """Which of a run's trainings it is.

    Attributes:
        stage: as progress is told.
        prefix: before the kinds of its lines in the log, `step` and `epoch`.
        log_bytes: of the log that earlier ones wrote.
    """

    stage: str = "tune"
    prefix: str = ""
    log_bytes: int = 0


FIRST = Part()


@dataclass
class _State:
    """All that the loop knows besides parameters, optimiser and schedule; kept in the checkpoint."""

    epoch: int = 0
    step_in_epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    targets: int = 0
    seconds: float = 0.0
    log_bytes: int = 0
    epochs: list[dict[str, Any]] = field(default_factory=list)
    start: dict[str, Any] | None = None
    around: list[list[dict[str, Any]]] = field(default_factory=list)


@dataclass(frozen=True)
class _Asked:
    """What a training is of, the same from its first step to its last; see `train`."""

    model: nn.Module
    trained: dict[str, nn.Parameter]
    feed: Feed
    rates: Mapping[str, float]
    settings: TrainConfig
    restraint: Restraint
    reselection: Reselection | None
    classes: Sequence[int] | None
    known: Known | None
    fitted: bool
    around: bool


@dataclass(frozen=True)
class _Told:
    """Who hears of a training, and as which part of the run; see `train`."""

    log: Path | None
    progress: Progress
    part: Part
    watch: Watch | None


def train(
    model: nn.Module,
    feed: Feed,
    rates: Mapping[str, float],
    settings: TrainConfig,
    checkpoint: Checkpoint,
    *,
    restraint: Restraint = _FREE,
    reselection: Reselection | None = None,
    log: Path | None,
    progress: Progress,
    part: Part = FIRST,
    classes: Sequence[int] | None = None,
    known: Known | None = None,
    watch: Watch | None = None,
    fitted: bool = False,
    around: bool = False,
) -> Trained:
    """Train what has `requires_grad`, stop early by the validation figure, and leave the best values in place.

    A run that was killed goes on from its checkpoint and ends with the same bytes: order, dropout, optimiser and
    schedule are as they would have been.

    Args:
        model: prepared by a method.
        feed: batches, loss and validation figures.
        rates: learning rate per parameter name; every trained parameter has one.
        settings: the loop's options.
        checkpoint: where state and best values are kept.
        restraint: what holds training back.
        reselection: exchanges some of the chosen weights on the way; the best values are put back where they belong.
        log: JSON lines of steps and epochs are appended here.
        progress: who is told how far it is.
        part: which of a run's trainings it is, where there are several.
        classes: of each row, where batches are to hold them evenly.
        known: what folds gave: their figures stand for the feed's own, and training ends after the last of them, at
            the rate that it has by then.
        watch: is given each epoch, those before a checkpoint that is taken up too.
        fitted: what trains can be of use as it stands: it is validated too, and kept if no epoch is better.
        around: the points that the restraint would try at the end are tried after each epoch, and none is taken.

    Raises:
        ZoganError: nothing to train, no rows, a loss that is not finite, or a re-selection on several processes.
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not trained or not feed.lengths:
        raise ZoganError("there is nothing to train" if not trained else "there are no rows to train on")
    accelerator = _accelerator(settings.precision)
    if reselection is not None:
        refuse_several(accelerator.num_processes)
    onto_device(model)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        asked = _Asked(model, trained, feed, rates, settings, restraint, reselection, classes, known, fitted, around)
        return _train(accelerator, asked, checkpoint, _Told(log, progress, part, watch))


def _train(accelerator: Accelerator, asked: _Asked, checkpoint: Checkpoint, told: _Told) -> Trained:
    trained, feed, settings, known = asked.trained, asked.feed, asked.settings, asked.known
    reselection = asked.reselection
    progress, prefix = told.progress, told.part.prefix
    world, rank = accelerator.num_processes, accelerator.process_index
    group, size = settings.accumulate * world, batch_size(settings)
    counts = batch_counts(feed.lengths, size, seed=settings.seed, epochs=settings.epochs, classes=asked.classes)
    steps = [-(-count // group) for count in counts]  # in each epoch
    total = sum(steps)
    groups = [
        {"params": [trained[name] for name in trained if asked.rates[name] == rate], "lr": rate}
        for rate in sorted({asked.rates[name] for name in trained})
    ]
    # One kernel goes over values and moments. Not in fp16: it takes steps that overflow itself, and `accelerate`, which
    # looks whether a step was called, would let the schedule go on.
    fused = accelerator.device.type in _FUSED and settings.precision != "fp16"
    plain = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=fused)
    wrapped, optimizer = accelerator.prepare(asked.model, plain)
    schedule = schedule_for(plain, settings, total)
    restrained = Restrained(asked.restraint, trained, plain, total)
    if reselection is not None:
        reselection.plan(total)
    state = _resume(checkpoint, trained, plain, schedule, restrained, reselection)
    state = state or _State(log_bytes=told.part.log_bytes)
    seconds_before = state.seconds
    last, patience = (settings.epochs, settings.patience) if known is None else (len(known.monitors), None)
    # What follows a training that is through is another's.
    if told.log is not None and not _through(state, last, patience):
        cut(told.log, state.log_bytes)
    if told.watch is not None:
        for kept in state.epochs:
            told.watch(epoch_of(kept))
    progress.start(told.part.stage, total)
    clock = saved = time.perf_counter()
    if asked.fitted and state.step == 0:
        monitor = feed.monitor(wrapped)
        state.start = {"validation_loss": monitor.loss, "validation_score": list(monitor.score)}
        _write(told.log, accelerator, state, kind=f"{prefix}start", **state.start)
        progress.note(f"before the first step: validation {monitor.loss:.4f}")
        if accelerator.is_main_process:
            _save_best(checkpoint, trained, reselection)
    wrapped.train()
    while not _through(state, last, patience):
        order = bucketed(feed.lengths, size, seed=settings.seed, epoch=state.epoch, classes=asked.classes)
        for step in range(state.step_in_epoch, steps[state.epoch]):
            if reselection is not None and state.step in reselection.due:
                found = reselection.exchange(state.step, plain)
                restrained.look_back(reselection.old())
                _write(told.log, accelerator, state, kind=f"{prefix}reselect", **asdict(found))
                progress.note(
                    f"after {found.step} steps {found.exchanged:,} of {found.chosen:,} weights gave way to others"
                )
            mine = order[step * group : (step + 1) * group][rank::world]
            with reselection.stepping(plain) if reselection is not None else nullcontext():
                loss, targets = _step(
                    accelerator, wrapped, feed, optimizer, trained, restrained, mine, order[0], settings.clip
                )
            rate = max(schedule.get_last_lr())
            if not accelerator.optimizer_step_was_skipped:
                restrained.pull()
                schedule.step()
            state.loss_sum, state.targets = state.loss_sum + loss, state.targets + targets
            state.step, state.step_in_epoch = state.step + 1, step + 1
            restrained.passed(state.step)
            now = time.perf_counter()
            state.seconds, clock = state.seconds + now - clock, now
            progress.advance(state.step, loss=loss / targets, rate=rate, epoch=float(state.epoch + 1))
            _write(
                told.log,
                accelerator,
                state,
                kind=f"{prefix}step",
                step=state.step,
                epoch=state.epoch + 1,
                loss=loss / targets,
                rate=rate,
                seconds=round(state.seconds, 3),
            )
            if now - saved >= settings.checkpoint_seconds and accelerator.is_main_process:
                _save(checkpoint, trained, plain, schedule, restrained, reselection, state)
                saved = now
        with restrained.validating():
            monitor = feed.monitor(wrapped) if known is None else known.monitors[state.epoch]
            if asked.around:
                looked = restrained.look_around(lambda: feed.monitor(wrapped))
                state.around.append([asdict(point) for point in looked])
            _finish_epoch(monitor, state, checkpoint, trained, reselection, accelerator)
        now = time.perf_counter()
        state.seconds, clock = state.seconds + now - clock, now
        _write(told.log, accelerator, state, kind=f"{prefix}epoch", **state.epochs[-1])
        progress.note(_sentence(state.epochs[-1], last))
        if accelerator.is_main_process:
            _save(checkpoint, trained, plain, schedule, restrained, reselection, state)
            saved = now
        if told.watch is not None:
            told.watch(epoch_of(state.epochs[-1]))
    if accelerator.is_main_process:
        checkpoint.load_best(trained, reselection.place if reselection is not None else None)
    if reselection is not None:
        restrained.look_back(reselection.old())
    _share(trained)  # the others may not see the main process' files
    points: tuple[Point, ...] = ()
    if known is not None and known.points:
        points = known.points
        restrained.take(points)
    elif known is None and not asked.around:
        points = restrained.finish(lambda: feed.monitor(wrapped))
    if points:
        _share(trained)  # all of them take the main process' choice
        _write_points(told.log, accelerator, state, f"{prefix}interpolation", points)
        progress.note(_choice(points))
    accelerator.unwrap_model(wrapped, keep_fp32_wrapper=False)
    start = None
    if state.start is not None:
        start = Monitor(state.start["validation_loss"], tuple(state.start["validation_score"]))
        if not any(kept["best"] for kept in state.epochs):
            progress.note("no epoch is better than what stood before the first step, which is kept")
    epochs = tuple(epoch_of(kept) for kept in state.epochs)
    around = tuple(tuple(point_of(kept) for kept in epoch) for epoch in state.around)
    return Trained(epochs, seconds_before, state.log_bytes, points, start, around)


def schedule_for(optimizer: torch.optim.Optimizer, settings: TrainConfig, steps: int) -> Any:
    """The rate over so many steps, as torch schedules it: it rises for `warmup` of them, then does as `decay` says."""
    return get_scheduler(
        _SCHEDULES[settings.decay], optimizer, num_warmup_steps=round(settings.warmup * steps), num_training_steps=steps
    )


def point_of(kept: Mapping[str, Any]) -> Point:
    """A point from its JSON values."""
    return Point(**{**kept, "validation_score": tuple(kept["validation_score"])})


def epoch_of(kept: Mapping[str, Any]) -> Epoch:
    """An epoch's figures from their JSON values."""
    return Epoch(**{**kept, "validation_score": tuple(kept["validation_score"])})


def _accelerator(precision: str) -> Accelerator:
    """`accelerate` keeps one precision a process for good; ours is of each job, and several may share a process."""
    wanted = {"fp32": "no"}.get(precision, precision)
    if AcceleratorState._shared_state.get("_mixed_precision", wanted) != wanted:
        AcceleratorState._reset_state()
    # Full fine-tuning trains what the loss may not reach, such as a pooler.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    # What of a model is not in memory cannot be moved; the rest is where it belongs.
    return Accelerator(device_placement=False, mixed_precision=wanted, kwargs_handlers=[unused])


def _step(
    accelerator: Accelerator,
    model: nn.Module,
    feed: Feed,
    optimizer: Any,
    trained: Mapping[str, nn.Parameter],
    restrained: Restrained,
    batches: list[list[int]],
    spare: list[int],
    clip: float | None,
) -> tuple[float, int]:
    """One step of the optimiser over the targets of all its batches, each weighing the same."""
    # A process that is left without a batch at the epoch's end still takes part in the reduction, at no weight.
    weight, batches = (1.0, batches) if batches else (0.0, [spare])
    collated = [feed.batch(rows) for rows in batches]
    targets = torch.tensor(weight * sum(targets_of(batch) for batch in collated), device=accelerator.device)
    targets = accelerator.reduce(targets, "sum")
    sums = torch.zeros((), device=accelerator.device)
    for place, batch in enumerate(collated):
        batch = {name: tensor.to(accelerator.device) for name, tensor in batch.items()}
        last = place == len(collated) - 1
        with accelerator.no_sync(model) if not last else nullcontext(), restrained.mixed():
            loss, _ = feed.loss(model, batch)
            # The reduction takes the mean over processes; the sum over all targets is what is meant.
            accelerator.backward(weight * loss * accelerator.num_processes / targets)
        sums += weight * loss.detach()
    total = float(accelerator.reduce(sums, "sum"))
    if not torch.isfinite(torch.tensor(total)):
        raise ZoganError(f"the loss is {total}", where="train", todo="Lower train.rate, or check the rows")
    if clip is not None:
        accelerator.clip_grad_norm_(list(trained.values()), clip)
    optimizer.step()
    optimizer.zero_grad()
    return total, int(targets)


def _finish_epoch(
    monitor: Monitor,
    state: _State,
    checkpoint: Checkpoint,
    trained: Mapping[str, nn.Parameter],
    reselection: Reselection | None,
    accelerator: Accelerator,
) -> None:
    before = [*state.epochs, *([state.start] if state.start else [])]
    best = all(monitor.score < tuple(kept["validation_score"]) for kept in before)
    if best and accelerator.is_main_process:
        _save_best(checkpoint, trained, reselection)
    state.epochs.append(
        asdict(
            Epoch(
                state.epoch + 1,
                state.loss_sum / state.targets,
                monitor.loss,
                monitor.score,
                best,
                round(state.seconds, 3),
                monitor.error,
            )
        )
    )
    state.epoch, state.step_in_epoch, state.loss_sum, state.targets = state.epoch + 1, 0, 0.0, 0


def _through(state: _State, last: int, patience: int | None) -> bool:
    return state.epoch >= last or _stopped(state, patience)


def _stopped(state: _State, patience: int | None) -> bool:
    best = max((kept["epoch"] for kept in state.epochs if kept["best"]), default=0)
    return patience is not None and state.epoch - best >= patience > 0 and bool(state.epochs)


def _sentence(epoch: Mapping[str, Any], epochs: int) -> str:
    mark = ", the best so far" if epoch["best"] else ""
    return (
        f"epoch {epoch['epoch']} of {epochs}: loss {epoch['train_loss']:.4f}, "
        f"validation {epoch['validation_loss']:.4f}{mark}"
    )


def _share(trained: Mapping[str, nn.Parameter]) -> None:
    for parameter in trained.values():
        parameter.data.copy_(broadcast(parameter.data))


def _choice(points: Sequence[Point]) -> str:
    best = best_of(points)
    return (
        f"of the way from the old to the new values {best.share:.0%} is kept, of {len(points)} points that were tried: "
        f"validation {best.validation_loss:.4f}"
    )


def _save_best(checkpoint: Checkpoint, trained: Mapping[str, nn.Parameter], reselection: Reselection | None) -> None:
    checkpoint.save_best(trained, reselection.places() if reselection is not None else None)


def _save(
    checkpoint: Checkpoint,
    trained: Mapping[str, nn.Parameter],
    optimizer: Any,
    schedule: Any,
    restrained: Restrained,
    reselection: Reselection | None,
    state: _State,
) -> None:
    chosen = {"places": reselection.places(), "reselection": reselection.state()} if reselection is not None else {}
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    checkpoint.save(
        trained,
        {
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "generators": [torch.get_rng_state(), *cuda],
            "restraint": restrained.state(),
            "state": asdict(state),
            **chosen,
        },
    )


def _resume(
    checkpoint: Checkpoint,
    trained: Mapping[str, nn.Parameter],
    optimizer: Any,
    schedule: Any,
    restrained: Restrained,
    reselection: Reselection | None,
) -> _State | None:
    kept = checkpoint.load(trained, reselection.place if reselection is not None else None)
    if kept is None:
        return None
    if reselection is not None:
        reselection.load(kept["reselection"])
        restrained.look_back(reselection.old())
    optimizer.load_state_dict(kept["optimizer"])
    schedule.load_state_dict(kept["schedule"])
    restrained.load(kept["restraint"])
    torch.set_rng_state(kept["generators"][0])
    if torch.cuda.is_available() and len(kept["generators"]) > 1:
        torch.cuda.set_rng_state_all(kept["generators"][1:])
    return _State(**kept["state"])


def _write(log: Path | None, accelerator: Accelerator, state: _State, **line: Any) -> None:
    if log is None or not accelerator.is_main_process:
        return
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        state.log_bytes = file.tell()


def _write_points(
    log: Path | None, accelerator: Accelerator, state: _State, kind: str, points: Sequence[Point]
) -> None:
    """Once: a run that was through looked for them before, and a later training's lines may stand behind them."""
    if log is None or not accelerator.is_main_process:
        return
    lines = "".join(json.dumps({"kind": kind, **asdict(point)}) + "\n" for point in points).encode()
    if log.read_bytes()[state.log_bytes :].startswith(lines):
        state.log_bytes += len(lines)
        return
    cut(log, state.log_bytes)
    with log.open("ab") as file:
        file.write(lines)
    state.log_bytes += len(lines)


def cut(log: Path, length: int) -> None:
    """Drop what a killed run logged after its checkpoint: those steps are taken again."""
    if log.exists():
        with log.open("r+b") as file:
            file.truncate(length)
