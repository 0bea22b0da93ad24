"""The job's model as it is in memory, and where it is cut."""

from __future__ import annotations

import gc
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from zogan.errors import ConfigError
from zogan.models.lean import Lean
from zogan.progress import Progress, Silent
from zogan.tasks.job import Job, Split
from zogan.tasks.task import Enter, enter_nothing
from zogan.train.filling import Filler, Streamed, Whole, filled
from zogan.train.forward import run_of
from zogan.train.meter import give_back
from zogan.train.need import Need
from zogan.train.plan import Plan, plan_for
from zogan.train.prefix import Frozen, cut_by_depth, cut_by_training, from_cache, owned


@runtime_checkable
class Held(Protocol):
    """A model in memory.

    Attributes:
        model: the job's.
        parameters: how many it has, with those that are not in memory.
    """

    model: nn.Module
    parameters: int

    def by_depth(self) -> Frozen | None:
        """What may not change by `budget.depth`; None where everything may, or where the model cannot be cut."""

    def by_training(self) -> Frozen | None:
        """What does not train, now that the method has said what does."""

    def filler(self, frozen: Frozen) -> Filler:
        """What computes the prefix cache."""

    def enter(self, split: Split) -> Enter:
        """Gives for rows of a split, of those that were asked for, the context in which the model runs on them."""


def hold(job: Job, need: Need, *, progress: Progress = Silent(), dtype: torch.dtype | None = None) -> Held:
    """Have the job's model in memory, whole or in part, as `budget:` asks and the machine allows.

    Args:
        job: base, rows and task.
        need: what is asked of the model.
        progress: told how far the prefix cache is, where that must be computed first.
        dtype: of the weights, where it is not the job's.

    Raises:
        ConfigError: it does not fit.
    """
    if job.config.budget.memory is not None:
        give_back()
    gc.collect()  # of a model that was held before: its layers and hooks know each other
    plan = plan_for(job, need)
    return InWhole(job, progress, dtype) if plan is None else InPart(job, need, plan, progress)


class InWhole:
    """All of the model. See `Held`."""

    def __init__(self, job: Job, progress: Progress, dtype: torch.dtype | None = None) -> None:
        self.job, self.progress = job, progress
        self.model = job.task.model(seed=job.config.train.seed, dtype=dtype or job.dtype)
        self.parameters = sum(p.numel() for p in self.model.parameters())

    def by_depth(self) -> Frozen | None:
        """See `Held`."""
        return cut_by_depth(self.job, self.model, self.job.config.budget.depth, self.progress)

    def by_training(self) -> Frozen | None:
        """See `Held`."""
        return cut_by_training(self.job, self.model, self.progress)

    def filler(self, frozen: Frozen) -> Filler:
        """See `Held`."""
        return Whole(self.job, self.model, frozen.cut)

    def enter(self, split: Split) -> Enter:
        """See `Held`."""
        return enter_nothing


class InPart:
    """The layers that run again and again, and what stands outside of the stack; the cache is computed beforehand.

    See `Held`.

    Raises:
        ConfigError: a patch changes what runs below these layers.
    """

    def __init__(self, job: Job, need: Need, plan: Plan, progress: Progress) -> None:
        self.model = job.task.model(seed=job.config.train.seed, dtype=job.dtype, empty=True)
        names = job.task.tensor_names(self.model)
        infos = {name: p.numel() for name, p in self.model.named_parameters() if name in names or not p.is_meta}
        self.parameters = sum(infos.values())
        lean = Lean(self.model, job.base, names)
        number = len(lean.layers)
        progress.note(
            f"the model is larger than the memory that it may take: layers {plan.index} to {number - 1} are in memory, "
            f"those below are read from the folder, {plan.at_once} at a time; "
            f"about {plan.peak_bytes / 1e9:.1f} GB at most"
        )
        self._filler = Streamed(job, lean, plan.index, plan.at_once, need.forward)
        cut, examples = self._filler.cut, job.examples(need.splits[0])
        self._filler.learn(examples[0])
        changed = {names[name] for name in owned(self.model, cut.before) if name in names} & need.changed
        if changed:
            raise ConfigError(
                f"a patch changes {min(changed)!r}, which runs below the layers that are in memory",
                where="budget.memory",
                todo="Evaluate it with memory for the whole model",
            )
        self._states = {split: filled(job, split, self._filler, progress) for split in need.splits}
        lean.hold(plan.index, number, first=cut.needs_first)
        # What runs beside the layers that were read one after the other is seen at the cut alone.
        with need.forward.running(self.model), from_cache(cut, self._states[need.splits[0]], [0]):
            cut.capture(run_of(job, self.model, examples[:1]))
        self._frozen = Frozen(cut, owned(self.model, cut.before))

    def by_depth(self) -> Frozen | None:
        """See `Held`."""
        return self._frozen

    def by_training(self) -> Frozen | None:
        """See `Held`."""
        return self._frozen

    def filler(self, frozen: Frozen) -> Filler:
        """See `Held`."""
        return self._filler

    def enter(self, split: Split) -> Enter:
        """See `Held`."""
        states = self._states[split]
        return lambda rows: from_cache(self._frozen.cut, states, rows)
