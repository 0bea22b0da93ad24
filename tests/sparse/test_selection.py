"""A selection's positions are sorted, unique and inside their tensor."""

from __future__ import annotations

import pytest
import torch

from zogan.sparse.selection import Selection


def test_count() -> None:
    assert Selection({"a": torch.tensor([0, 3]), "b": torch.tensor([5])}, {"a": (2, 2), "b": (2, 3)}).count == 3


def test_vectors_count_and_a_head_does_not() -> None:
    shapes = {"a": (2, 2), "a.bias": (2,)}
    found = Selection({"a": torch.tensor([0, 3])}, shapes, whole=("head.weight", "a.bias"))
    assert found.vectors == ("a.bias",)
    assert found.count == 4


@pytest.mark.parametrize("flat", [[1, 0], [0, 0], [-1], [4], [3, 4]])
def test_positions_that_do_not_fit(flat: list[int]) -> None:
    with pytest.raises(ValueError, match=r"a: positions must be strictly increasing and within 0\.\.3"):
        Selection({"a": torch.tensor(flat)}, {"a": (2, 2)})
