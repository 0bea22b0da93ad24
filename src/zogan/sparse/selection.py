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
        shapes: parameter name to the weight's shape.
        whole: names of parameters that train whole, such as a new head.
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
    def count(self) -> int:
        """Number of chosen weights."""
        return sum(len(flat) for flat in self.positions.values())
