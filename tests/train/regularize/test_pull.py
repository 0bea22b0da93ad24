"""Toward the old values: as the formulas have it, and exactly there."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from zogan.train.regularize.pull import decay, threshold

seeds = st.integers(0, 1000)


def drawn(seed: int) -> tuple[Tensor, Tensor]:
    """Values and old values, of which some are close and some are equal."""
    generator = torch.Generator().manual_seed(seed)
    old = torch.randn(40, generator=generator)
    change = torch.randn(40, generator=generator)
    change[:10] *= 0.01
    change[10:15] = 0.0
    return old + change, old


@settings(max_examples=40, deadline=None)
@given(seed=seeds, share=st.floats(0.0, 1.0, width=32))
def test_decay_leaves_its_share_of_the_distance(seed: int, share: float) -> None:
    values, old = drawn(seed)
    known = old + (1 - share) * (values - old)
    decay(values, old, share)
    torch.testing.assert_close(values, known)


@pytest.mark.parametrize("share", [1.0, 7.0])
def test_decay_goes_no_further_than_the_old_values(share: float) -> None:
    values, old = drawn(0)
    decay(values, old, share)
    torch.testing.assert_close(values, old)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, length=st.floats(0.0, 2.0, width=32))
def test_the_threshold_is_the_proximal_step_of_an_l1_penalty(seed: int, length: float) -> None:
    values, old = drawn(seed)
    before = values.clone()
    threshold(values, old, length)
    torch.testing.assert_close(values - old, torch.nn.functional.softshrink(before - old, length), rtol=0, atol=1e-6)
    # Of all values it is the one with the least penalty and distance together.
    cost = length * (values - old).abs() + (values - before) ** 2 / 2
    for other in (before, old, values + 1e-2, values - 1e-2):
        assert (cost <= length * (other - old).abs() + (other - before) ** 2 / 2 + 1e-6).all()


def test_what_is_nearer_than_the_pull_is_the_old_value_bit_by_bit() -> None:
    old = torch.tensor([-0.0, 0.0, 1.0, 1e-30, -3.0, 2.0])
    values = old + torch.tensor([1e-3, -1e-3, 1e-3, 1e-3, 0.0, 1.0])
    threshold(values, old, 0.01)
    assert values[:5].view(torch.int32).tolist() == old[:5].view(torch.int32).tolist()
    assert values[5].item() == pytest.approx(2.99)
