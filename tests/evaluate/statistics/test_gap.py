"""The gap between two sets of rows that are not the same."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import Float64

from zogan.evaluate.metrics import ratio
from zogan.evaluate.statistics import gap, gap_of_shares


def parts(values: Float64[np.ndarray, " rows"]) -> Float64[np.ndarray, "rows parts"]:
    return np.stack([values, np.ones_like(values)], axis=1)


def test_a_model_that_learned_its_rows_by_heart() -> None:
    held_out = (np.arange(100) % 4 > 0).astype(np.float64)
    found = gap(parts(np.ones(300)), parts(held_out), ratio, higher_is_better=True, level=0.95, resamples=400, seed=0)
    assert found.value == pytest.approx(0.25)
    assert 0.15 < found.low < found.value < found.high < 0.36


def test_of_a_loss_lower_is_better() -> None:
    generator = np.random.default_rng(0)
    training, held_out = parts(generator.gamma(2, 0.5, size=200)), parts(generator.gamma(2, 1, size=150))
    found = gap(training, held_out, ratio, higher_is_better=False, level=0.95, resamples=400, seed=0)
    assert found.value == pytest.approx(held_out[:, 0].mean() - training[:, 0].mean())
    assert 0 < found.low < found.high


def test_one_held_out_row_has_no_interval() -> None:
    found = gap(parts(np.ones(10)), parts(np.zeros(1)), ratio, higher_is_better=True, level=0.95, resamples=100, seed=0)
    assert (found.low, found.high, found.method) == (1.0, 1.0, "none")


def test_a_gap_of_shares_is_that_of_newcombe() -> None:
    # Newcombe (1998), table II, contrast (a): 56/70 against 48/80, method 10.
    found = gap_of_shares((56, 70), (48, 80), level=0.95)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


def test_a_gap_of_shares_has_a_width_where_all_rows_are_right() -> None:
    found = gap_of_shares((10, 10), (20, 20), level=0.95)
    assert found.low < found.value == 0 < found.high
