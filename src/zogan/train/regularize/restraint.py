"""What the loop asks of restraint: in a pass, after a step, at an epoch's end, and at the end of all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from zogan.config import RegularizeConfig
from zogan.tasks.task import Monitor
from zogan.train.regularize.average import Average
from zogan.train.regularize.interpolate import Point, best_of, go, interpolate, validated
from zogan.train.regularize.mixout import mixout
from zogan.train.regularize.pull import decay, threshold


@dataclass(frozen=True)
class Restraint:
    """How training is held back, and toward what.

    Attributes:
        settings: of each technique; all are off by default.
        old: what parameters were, by name; those that have no such values are not held.
    """

    settings: RegularizeConfig = field(default_factory=RegularizeConfig)
    old: Mapping[str, Tensor] = field(default_factory=dict)


class Restrained:
    """A restraint over the parameters of one training. What it keeps from step to step is `state`.

    Args:
        restraint: what is asked.
        trained: all that trains, by name, where it trains.
        optimizer: with the rate of each.
        steps: in all.
    """

    def __init__(
        self,
        restraint: Restraint,
        trained: Mapping[str, nn.Parameter],
        optimizer: torch.optim.Optimizer,
        steps: int,
    ) -> None:
        self.settings, self.trained, self.optimizer = restraint.settings, trained, optimizer
        self.old = {name: old.to(trained[name]) for name, old in restraint.old.items() if name in trained}
        self.average = Average(self.settings.average, steps)

    def look_back(self, old: Mapping[str, Tensor]) -> None:
        """Other weights train under the same names: take these for their old values, of what is held at all."""
        self.old = {name: old[name].to(self.trained[name]) for name in self.old}

    def mixed(self) -> AbstractContextManager[None]:
        """Around forward and backward of a batch."""
        chance = self.settings.mixout
        return mixout(self.trained, self.old, chance) if chance else nullcontext()

    def pull(self) -> None:
        """After a step of the optimiser, while its rate is still in force."""
        if not (self.settings.decay or self.settings.threshold):
            return
        # Looked up each time: an optimiser that takes up a state has other groups than before.
        rates = {id(p): float(group["lr"]) for group in self.optimizer.param_groups for p in group["params"]}
        for name, old in self.old.items():
            values, rate = self.trained[name].data, rates[id(self.trained[name])]
            if self.settings.decay:
                decay(values, old, rate * self.settings.decay)
            if self.settings.threshold:
                threshold(values, old, rate * self.settings.threshold)

    def passed(self, step: int) -> None:
        """After a step and its pull, counted from 1."""
        self.average.add(self.trained, step)

    def validating(self) -> AbstractContextManager[None]:
        """Around what is validated, and kept as the best, at an epoch's end."""
        return self.average.in_place(self.trained)

    def finish(self, monitor: Callable[[], Monitor]) -> tuple[Point, ...]:
        """With the best values in place: look between them and the old ones, if that is asked for."""
        shares = self.settings.points
        return interpolate(self.trained, self.old, shares, monitor) if shares else ()

    def look_around(self, monitor: Callable[[], Monitor]) -> tuple[Point, ...]:
        """What `finish` would try, of the values in place, which stay there."""
        shares = self.settings.points
        return validated(self.trained, self.old, shares, monitor) if shares else ()

    def take(self, points: Sequence[Point]) -> None:
        """With the last values in place: go where others have found the best point."""
        go(self.trained, self.old, best_of(points).share)

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return self.average.state()

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.average.load(state, self.trained)
