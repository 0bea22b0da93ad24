"""What a stage asks of the model: which layers, for which rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from zogan.errors import IntegrityError
from zogan.patch import Patch
from zogan.tasks.classifier import Classifier
from zogan.tasks.generation import Generation
from zogan.tasks.job import Job, Split
from zogan.train.forward import Forward, as_measured, as_trained
from zogan.train.methods import PEFT_PREFIX

SPLITS: tuple[Split, ...] = ("train", "validation")
"""Rows that go through the model while it is tuned."""


def splits_of(job: Job) -> tuple[Split, ...]:
    """Those of `SPLITS` that the job goes through: where `train.folds` chooses the epochs, no row is for validation."""
    return SPLITS if job.config.train.folds is None else SPLITS[:1]


@dataclass(frozen=True)
class Need:
    """What a stage asks of the model.

    Attributes:
        verb: what it does with the layers, for messages.
        depth: topmost layers that it runs again and again, at least.
        density: share of their weights that changes.
        splits: whose rows go through the model.
        forward: how they go through the layers below.
        trains: whether a layer trains.
        answers: whether tokens are generated, each of which goes through all layers.
        changed: tensors of the base that a patch changes, or has adapters beside; their layers are among those that
            run again.
    """

    verb: str
    depth: int | Literal["all"]
    density: float
    splits: tuple[Split, ...]
    forward: Forward
    trains: bool = False
    answers: bool = False
    changed: frozenset[str] = frozenset()


def to_tune(job: Job) -> Need:
    """What the job's method asks, and the selection before it."""
    budget = job.config.budget
    if job.config.method == "head":
        return Need("fitting a head on", 1, 0.0, splits_of(job), as_measured(job))
    depth: int | Literal["all"] = budget.depth if isinstance(budget.depth, int) else "all"
    return Need("tuning", depth, budget.density, splits_of(job), as_trained(job), trains=True)


def to_evaluate(job: Job, split: Split = "test", patches: Sequence[Patch] | None = None) -> Need:
    """What figures before and after ask.

    Args:
        job: base, rows and task.
        split: which rows.
        patches: that will be applied; absent, what the job's own may change counts.
    """
    config, depth = job.config, to_tune(job).depth
    if patches is not None:
        depth = 1
    return Need(
        "evaluating",
        depth,
        config.budget.density,
        (split,),
        as_measured(job),
        answers=isinstance(job.task, Generation) and config.evaluate.answers > 0,
        changed=frozenset(name for patch in patches or () for name in patch.changes) | _beside(job, patches or ()),
    )


def _beside(job: Job, patches: Sequence[Patch]) -> frozenset[str]:
    """Tensors of the base that adapters stand beside: their layers too run otherwise with the patch than without.

    Raises:
        IntegrityError: the model has no such layer.
    """
    named = [name for patch in patches for name in patch.adapters]
    if not named:
        return frozenset()
    model = job.task.model(seed=job.config.train.seed, dtype=job.dtype, empty=True)
    body = "body." if isinstance(model, Classifier) else ""
    layers = {name.removeprefix(PEFT_PREFIX).rsplit(".lora_", 1)[0] for name in named}
    tensors = job.task.tensor_names(model)
    missing = sorted(layer for layer in layers if f"{body}{layer}.weight" not in tensors)
    if missing:
        raise IntegrityError("the model has no such layer for the patch's adapter", where=missing[0])
    return frozenset(tensors[f"{body}{layer}.weight"] for layer in layers)
