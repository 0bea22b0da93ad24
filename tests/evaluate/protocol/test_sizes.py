"""Rows that show a difference: Connor's formula, both ways round, and what simulated tests find."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zogan.evaluate.protocol.sizes import Means, Noise, Paired, Share, rows_needed, smallest_difference

Z_95, Z_80 = 1.959963985, 0.841621234

shares = st.floats(0.01, 1)
noises = st.one_of(shares.map(Paired), st.floats(0.01, 50).map(Means))


def test_connors_formula() -> None:
    expected = ((Z_95 * math.sqrt(0.2) + Z_80 * math.sqrt(0.2 - 0.05**2)) / 0.05) ** 2
    assert rows_needed(0.05, 0, Paired(0.2), alpha=0.05, power=0.8) == math.ceil(expected)


def test_paired_means() -> None:
    assert rows_needed(0.5, 0, Means(1), alpha=0.05, power=0.8) == math.ceil(((Z_95 + Z_80) / 0.5) ** 2)


def test_a_margin_moves_what_is_to_be_exceeded() -> None:
    plain = rows_needed(0.3, 0, Means(2), alpha=0.05, power=0.9)
    assert rows_needed(0, -0.3, Means(2), alpha=0.05, power=0.9) == plain
    assert rows_needed(0.4, 0.1, Means(2), alpha=0.05, power=0.9) == plain


@pytest.mark.parametrize("difference", [0.1, 0.05, -1])
def test_what_does_not_exceed_the_margin_is_never_shown(difference: float) -> None:
    assert rows_needed(difference, 0.1, Paired(0.2), alpha=0.05, power=0.8) is None


def test_no_number_of_rows_that_one_can_have() -> None:
    assert rows_needed(1e-9, 0, Means(1), alpha=0.05, power=0.8) is None


@given(noises, st.floats(-0.3, 0.3), st.floats(0.02, 0.6), st.floats(0.001, 0.3), st.floats(0.6, 0.99))
def test_the_smallest_difference_takes_the_rows_at_hand(
    noise: Noise, margin: float, beyond: float, alpha: float, power: float
) -> None:
    rows = rows_needed(margin + beyond, margin, noise, alpha=alpha, power=power)
    assert rows is not None
    found = smallest_difference(rows, margin, noise, alpha=alpha, power=power)
    assert found is not None
    assert found <= margin + beyond + 1e-9
    if rows > 2:  # one row less does not show it
        fewer = smallest_difference(rows - 1, margin, noise, alpha=alpha, power=power)
        assert fewer is not None
        assert fewer > margin + beyond - 1e-9


@given(noises, st.integers(2, 10_000), st.integers(1, 10_000))
def test_more_rows_show_less(noise: Noise, rows: int, more: int) -> None:
    few = smallest_difference(rows, 0, noise, alpha=0.05, power=0.8)
    many = smallest_difference(rows + more, 0, noise, alpha=0.05, power=0.8)
    assert few is not None
    assert many is not None
    assert many < few


def test_where_the_largest_difference_would_not_be_shown() -> None:
    assert smallest_difference(3, 0, Share(0.8), alpha=0.05, power=0.8, most=0.2) is None
    assert smallest_difference(300, 0, Share(0.8), alpha=0.05, power=0.8, most=0.2) is not None


def test_models_that_never_differ_show_the_margin_itself() -> None:
    assert smallest_difference(10, 0, Means(0), alpha=0.05, power=0.8) == 0


def test_simulated_tests_have_the_power_that_was_planned() -> None:
    rows = rows_needed(0.05, 0, Paired(0.2), alpha=0.05, power=0.8)
    assert rows is not None
    generator = np.random.default_rng(0)
    better, worse = generator.multinomial(rows, [0.125, 0.075, 0.8], size=20_000)[:, :2].T
    shown = (better - worse) / np.sqrt(better + worse) > Z_95  # McNemar's test
    assert shown.mean() == pytest.approx(0.8, abs=0.015)


def test_a_slice_has_the_power_that_was_planned() -> None:
    lead = smallest_difference(200, 0, Share(0.7), alpha=0.05, power=0.8, most=0.3)
    assert lead is not None
    right = np.random.default_rng(0).binomial(200, 0.7 + lead, size=20_000)
    shown = (right / 200 - 0.7) / math.sqrt(0.7 * 0.3 / 200) > Z_95
    assert shown.mean() == pytest.approx(0.8, abs=0.03)
