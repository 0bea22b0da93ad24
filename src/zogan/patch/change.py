"""What a patch changes in one tensor of the base. Values are compared by bits: NaN equals itself, -0.0 is not 0.0."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

from zogan.patch.positions import LARGEST
from zogan.weights import DTYPES

_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def bits(tensor: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
    """The same memory, read as integers. Indexing and comparing these work for every dtype, and never round."""
    return tensor.view(_INTEGERS[tensor.dtype.itemsize])


def raw(tensor: Shaped[Tensor, "..."]) -> memoryview:
    """A tensor's bytes: row-major, little-endian; the tensor's own memory where it is contiguous and on the CPU."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    if not flat.numel():
        return memoryview(b"")
    array: npt.NDArray[np.uint8] = flat.view(torch.uint8).numpy()
    return array.data


@dataclass(frozen=True, eq=False)
class Change:
    """What changes in one tensor.

    Attributes:
        dtype: the base's, as safetensors names it.
        shape: the base tensor's.
        positions: flat positions in the row-major tensor, strictly increasing; at least one.
        old: what stands there in the base.
        new: what stands there after; differs from `old` in at least one bit at every position.

    Raises:
        ValueError: one of these does not hold.
    """

    dtype: str
    shape: tuple[int, ...]
    positions: Int64[Tensor, " n"]
    old: Shaped[Tensor, " n"]
    new: Shaped[Tensor, " n"]

    def __post_init__(self) -> None:
        count = len(self.positions)
        if self.dtype not in DTYPES:
            raise ValueError(f"unknown dtype {self.dtype!r}")
        if not 0 < self.numel <= LARGEST:
            raise ValueError(f"shape {list(self.shape)} is no shape of a weight")
        if not 0 < count <= self.numel:
            raise ValueError(f"{count} positions in {self.numel} weights")
        for what, values in (("old", self.old), ("new", self.new)):
            if values.dtype != DTYPES[self.dtype] or values.shape != (count,):
                raise ValueError(
                    f"{what} values are {values.dtype} {list(values.shape)}, not {self.dtype} [{count}] as wanted"
                )
        if self.positions[0] < 0 or self.positions[-1] >= self.numel or bool((self.positions.diff() <= 0).any()):
            raise ValueError(f"positions are not strictly increasing within 0 to {self.numel - 1}")
        if bool((bits(self.old) == bits(self.new)).any()):
            raise ValueError("a position is listed whose value does not change")

    @property
    def numel(self) -> int:
        return math.prod(self.shape)
