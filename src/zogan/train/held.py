"""The job's model as it is in memory, and where it is cut."""

from __future__ import annotations

import gc
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from zogan.models.lean import Lean
from zogan.progress import Progress, Silent
from zogan.tasks.job import Job
from zogan.train.filling import SPLITS, Filler, Streamed, Whole, filled, run_of, running
from zogan.train.plan import Plan, plan_for
from zogan.train.prefix import Frozen, cut_by_depth, cut_by_training, owned


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


def hold(job: Job, *, progress: Progress = Silent(), dtype: torch.dtype | None = None) -> Held:
    """Have the job's model in memory, whole or in part, as `budget:` asks and the machine allows.

    Args:
        job: base, rows and task.
        progress: told how far the prefix cache is, where that must be computed first.
        dtype: of the weights, where it is not the job's.

    Raises:
        ConfigError: it does not fit.
    """
    gc.collect()  # of a model that was held before: its layers and hooks know each other
    plan = plan_for(job)
    return InWhole(job, progress, dtype) if plan is None else InPart(job, plan, progress)


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


class InPart:
    """The layers that train, and what stands outside of the stack; the cache is computed beforehand. See `Held`."""

    def __init__(self, job: Job, plan: Plan, progress: Progress) -> None:
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
        self._filler = Streamed(job, lean, plan.index, plan.at_once)
        states = {split: filled(job, split, self._filler, progress) for split in SPLITS}
        cut, examples = self._filler.cut, job.examples("train")
        # What was found in the cache taught nothing of the layers: see once what they are.
        self._filler.learn(examples[0])
        lean.hold(plan.index, number, first=cut.needs_first)
        hidden = states["train"].read([0])
        with running(job, self.model), cut.replay(hidden):
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
