"""A change that does not hold together cannot be made."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from tiny_patch import WIDTHS, random_bits
from zogan.patch.change import Change, bits, raw


def change(**other: Any) -> Change:
    fields = {
        "dtype": "F32",
        "shape": (2, 3),
        "positions": torch.tensor([1, 4]),
        "old": torch.tensor([0.0, 1.0]),
        "new": torch.tensor([-0.0, 2.0]),
    }
    return Change(**(fields | other))


def test_minus_zero_is_a_change_and_nan_is_none() -> None:
    assert change().numel == 6
    with pytest.raises(ValueError, match="does not change"):
        change(old=torch.tensor([torch.nan, 1.0]), new=torch.tensor([torch.nan, 2.0]))


@pytest.mark.parametrize(
    ("other", "fault"),
    [
        ({"dtype": "F33"}, "unknown dtype 'F33'"),
        ({"dtype": "BF16"}, "old values are torch.float32 [2], not BF16 [2]"),
        ({"shape": (0, 3)}, "no shape of a weight"),
        ({"shape": (2**30, 2**30)}, "no shape of a weight"),
        ({"shape": (1,)}, "2 positions in 1 weights"),
        ({"positions": torch.tensor([1, 6])}, "not strictly increasing within 0 to 5"),
        ({"positions": torch.tensor([-1, 4])}, "not strictly increasing within 0 to 5"),
        ({"positions": torch.tensor([4, 4])}, "not strictly increasing within 0 to 5"),
        ({"positions": torch.tensor([4, 1])}, "not strictly increasing within 0 to 5"),
        ({"new": torch.tensor([-0.0, 1.0])}, "a position is listed whose value does not change"),
        ({"new": torch.tensor([1.0, 2.0]).double()}, "new values are torch.float64"),
    ],
)
def test_refused(other: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=re.escape(fault)):
        change(**other)


@pytest.mark.parametrize("dtype", [*WIDTHS, torch.bool, torch.float8_e4m3fn])
def test_bits_and_bytes_are_the_tensors_own(dtype: torch.dtype) -> None:
    tensor = random_bits((3, 5), dtype, 0) if dtype in WIDTHS else torch.ones(3, 5).to(dtype)
    assert bits(tensor).data_ptr() == tensor.data_ptr()
    assert bytes(raw(tensor)) == bytes(raw(bits(tensor)))
    assert len(raw(tensor.T)) == 15 * dtype.itemsize
    assert bytes(raw(tensor[:0])) == b""
