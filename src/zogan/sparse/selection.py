"""Which weights may change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor


@dataclass(frozen=True)
class Selection:
    """The chosen positions, per parameter, with how they were chosen.

    Attributes:
        positions: parameter name to flat positions in the contiguous weight, int64, strictly increasing.
        shapes: parameter name to its shape, of all that has positions, and of the base's own vectors that train whole.
        whole: names of parameters that train whole: a new head, which has no shape here, and vectors of the base.
        meta: criterion, density, data and seed that made it; JSON values only.
    """

    positions: Mapping[str, Int64[Tensor, " chosen"]]
    shapes: Mapping[str, tuple[int, ...]]
    whole: tuple[str, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, flat in self.positions.items():
            numel = torch.Size(self.shapes[name]).numel()
            if len(flat) and (flat[0] < 0 or flat[-1] >= numel or (flat.diff() <= 0).any()):
                raise ValueError(f"{name}: positions must be strictly increasing and within 0..{numel - 1}")

    @property
    def vectors(self) -> tuple[str, ...]:
        """Names of the base's own parameters that train whole: biases and norms."""
        return tuple(name for name in self.whole if name in self.shapes)

    @property
    def count(self) -> int:
        """Number of the base's weights that may change: at the positions, and in vectors."""
        whole = sum(torch.Size(self.shapes[name]).numel() for name in self.vectors)
        return whole + sum(len(flat) for flat in self.positions.values())
