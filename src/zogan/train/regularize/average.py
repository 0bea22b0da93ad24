"""The mean of the values over the last steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


class Average:
    """A running mean, each step weighing the same (arXiv:1803.05407).

    Args:
        share: of the steps, the last ones, 0 to 1; at 0 there is no mean, else it is of one step at least.
        steps: in all.
    """

    def __init__(self, share: float, steps: int) -> None:
        self.first = steps + 1 - max(round(share * steps), 1) if share else steps + 1
        self.count = 0
        self.values: dict[str, Tensor] = {}

    def add(self, trained: Mapping[str, nn.Parameter], step: int) -> None:
        """Take the values after a step, counted from 1; those before the last part are let pass."""
        if step < self.first:
            return
        self.count += 1
        for name, parameter in trained.items():
            if self.count == 1:
                self.values[name] = parameter.detach().clone()
            else:
                self.values[name].lerp_(parameter.detach(), 1 / self.count)

    @contextmanager
    def in_place(self, trained: Mapping[str, nn.Parameter]) -> Iterator[None]:
        """Inside, the parameters hold the mean, where there is one yet."""
        own = {name: trained[name].detach().clone() for name in self.values}
        for name, mean in self.values.items():
            trained[name].data.copy_(mean)
        try:
            yield
        finally:
            for name, values in own.items():
                trained[name].data.copy_(values)

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"count": self.count, "values": self.values}

    def load(self, state: Mapping[str, Any], trained: Mapping[str, nn.Parameter]) -> None:
        """Go on from what `state` gave."""
        self.count = state["count"]
        self.values = {name: values.to(trained[name]) for name, values in state["values"].items()}
