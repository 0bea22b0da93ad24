"""The second stage: LoRA beside the few layers with the most gradient left over, trained with the chosen weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import nn

from zogan.config import TrainConfig
from zogan.data.batch import batch_size
from zogan.errors import ZoganError
from zogan.models.cut import Cut
from zogan.progress import Progress
from zogan.select.eligible import eligible
from zogan.select.job import saliency_batches
from zogan.tasks.balance import drawn_by
from zogan.tasks.job import Job
from zogan.tasks.task import Predictions
from zogan.train.checkpoint import Checkpoint
from zogan.train.feed import Rows
from zogan.train.forward import as_trained
from zogan.train.gain import Gain, gain_of
from zogan.train.leftover import layers_above, left_over
from zogan.train.loop import Epoch, Part, Trained, cut, train
from zogan.train.methods import Method, Result, adapters_of, linear_layers, put_beside, take_out
from zogan.train.regularize import Restraint

STAGE = "adapters"


@dataclass(frozen=True)
class Second:
    """What the second stage did.

    Attributes:
        two_stage: what was asked for, `auto` or `always`.
        kept: whether the patch holds its result; otherwise it is the first stage's, byte for byte.
        reason: of that, in a sentence.
        layers: names of the layers with adapters.
        left_over: share of the squared gradient outside of the chosen weights, by layer, 0 to 1.
        gain: on the validation rows, from the first stage's model to the second's; None where nothing was trained.
        epochs: the figures of each.
        trainable: weights of the adapters.
        seconds_before: wall seconds that a killed run had spent in it.
    """

    two_stage: str
    kept: bool
    reason: str
    layers: tuple[str, ...]
    left_over: Mapping[str, float]
    gain: Gain | None
    epochs: tuple[Epoch, ...]
    trainable: int
    seconds_before: float

    def as_json(self) -> dict[str, Any]:
        """What was decided, and why, as JSON values."""
        return {
            "two_stage": self.two_stage,
            "kept": self.kept,
            "reason": self.reason,
            "layers": list(self.layers),
            "left_over": dict(self.left_over),
            "validation": self.gain.as_json() if self.gain else None,
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "trainable": self.trainable,
        }


def train_adapters(
    job: Job,
    model: nn.Module,
    method: Method,
    feed: Rows,
    rates: Mapping[str, float],
    settings: TrainConfig,
    state: Checkpoint,
    first: Trained,
    restraint: Restraint,
    *,
    log: Path | None,
    progress: Progress,
) -> tuple[Result, Second]:
    """Train adapters, chosen weights and head from where the first stage ended; keep them if that is asked or pays.

    A run that was killed here goes on from a checkpoint of its own, and the first stage is not trained again. All that
    is found out before is found again to the same bits, from the first stage's best values.

    Args:
        job: base, rows and options.
        model: with the first stage's best values.
        method: that prepared it.
        feed: of the first stage.
        rates: learning rate per parameter name, without adapters.
        settings: the loop's options.
        state: the first stage's checkpoint; the second's is a folder in it.
        first: how the first stage went.
        restraint: what holds chosen weights back; adapters are free.
        log: JSON lines are appended here, the last of them with what was decided.
        progress: who is told how far it is.

    Returns:
        What changed in all, and what the second stage did. The model is plain again.

    Raises:
        ConfigError: PEFT is not installed.
        ZoganError: no gradient is left over though adapters are asked for, or one is not finite.
    """
    asked, chosen_values = job.config.adapters, {n: p for n, p in model.named_parameters() if p.requires_grad}
    # What the first stage ended with: its best epoch's values, or a point on the way to them.
    ended = {name: parameter.detach().clone() for name, parameter in chosen_values.items()}
    shares, beside = _shares(job, model, feed, settings, progress)
    if not any(shares.values()):
        if asked.two_stage == "always":
            raise ZoganError(
                "no gradient is left outside of the chosen weights",
                where="adapters.two_stage",
                todo="Set it to never, or lower budget.density",
            )
        second = Second(asked.two_stage, False, "no gradient is left over", (), shares, None, (), 0, 0.0)
        return method.result(model), _told(second, log, first.log_bytes, progress)
    layers = _most(shares, asked.count(len(shares)))
    before = _predictions(job, model, feed)
    put_beside(model, [name for layer in layers for name in beside[layer]], job.config.lora, job.config.train.seed)
    adapters = [p for name, p in model.named_parameters() if _is_adapter(name)]
    progress.note(f"second stage: adapters beside {', '.join(layers)}")
    trained = train(
        model,
        feed,
        {name: asked.rate if _is_adapter(name) else rates[_plain(name)] for name, _ in model.named_parameters()},
        settings,
        Checkpoint(state.folder / STAGE, _key(job, state)),
        restraint=replace(
            restraint,
            old={n: restraint.old[_plain(n)] for n, _ in model.named_parameters() if _plain(n) in restraint.old},
        ),
        log=log,
        progress=progress,
        classes=drawn_by(job),
        part=Part(STAGE, f"{STAGE}_", first.log_bytes),
    )
    gain = gain_of(before, _predictions(job, model, feed))
    kept = asked.two_stage == "always" or gain.pays
    tensors, about = adapters_of(model, job.config.lora)
    take_out(model)
    if not kept:
        for name, parameter in chosen_values.items():
            parameter.data.copy_(ended[name])
    result = method.result(model)
    if kept:
        result = replace(result, adapters=tensors, adapter_config=about)
    second = Second(
        asked.two_stage,
        kept,
        _reason(asked.two_stage, gain),
        layers,
        shares,
        gain,
        trained.epochs,
        sum(p.numel() for p in adapters),
        trained.seconds_before,
    )
    return result, _told(second, log, trained.log_bytes, progress)


def _shares(
    job: Job, model: nn.Module, feed: Rows, settings: TrainConfig, progress: Progress
) -> tuple[dict[str, float], dict[str, list[str]]]:
    """Left-over shares of the layers that may change, and what an adapter can stand beside in each."""
    select = job.config.select
    weights = eligible(model, include=select.include, exclude=select.exclude, whole=job.task.head(model))
    permitted = {id(parameter) for parameter in weights.values()}
    linear = {name: module for name, module in linear_layers(model).items() if id(module.weight) in permitted}
    place: Cut | None = getattr(feed, "cut", None)
    beside = {}
    for layer, whole in layers_above(model, place).items():
        inside = set(whole.modules())
        if names := [name for name, module in linear.items() if module in inside]:
            beside[layer] = names
    order = saliency_batches(job, batch_size(settings))
    device = next(model.parameters()).device.type

    def running() -> AbstractContextManager[object]:
        return torch.autocast(device, job.activations) if job.activations else nullcontext()

    matrices = {layer: [linear[name] for name in names] for layer, names in beside.items()}
    found = left_over(model, feed, matrices, order, running=running, progress=progress)
    whole_sum = sum(found.values())
    return {layer: value / whole_sum if whole_sum else 0.0 for layer, value in found.items()}, beside


def _most(shares: Mapping[str, float], count: int) -> tuple[str, ...]:
    """The layers with the largest shares, from the lowest up; of equal ones the lowest."""
    best = set(sorted(shares, key=lambda layer: -shares[layer])[:count])
    return tuple(layer for layer in shares if layer in best)


def _predictions(job: Job, model: nn.Module, feed: Rows) -> Predictions:
    """Of the validation rows, as training has them."""
    settings = job.config.evaluate.model_copy(update={"answers": 0})
    with as_trained(job).running(model):
        return job.task.predict(model, job.splits.validation, settings, enter=feed.enter_held_out)


def _is_adapter(name: str) -> bool:
    return ".lora_" in name


def _plain(name: str) -> str:
    """The name of a parameter as it is without adapters."""
    return name.replace(".base_layer.", ".")


def _key(job: Job, state: Checkpoint) -> str:
    config = job.config
    about = [state.key, config.adapters.model_dump(mode="json"), config.lora.model_dump(mode="json")]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _reason(two_stage: str, gain: Gain) -> str:
    moved = f"validation {gain.figure} went from {gain.before:.4f} to {gain.after:.4f}"
    if gain.standard_error is None:
        return f"{moved}, and one row says nothing of chance"
    error = f"better by {gain.value:.4f}, with a standard error of {gain.standard_error:.4f}"
    return f"{moved}: {error}{', but it was asked for' if two_stage == 'always' and not gain.pays else ''}"


def _told(second: Second, log: Path | None, log_bytes: int, progress: Progress) -> Second:
    progress.note(f"second stage: {'kept' if second.kept else 'not kept'}; {second.reason}")
    if log is not None and PartialState().is_main_process:
        cut(log, log_bytes)  # of a run that was through before
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": STAGE, **second.as_json()}) + "\n")
    return second
