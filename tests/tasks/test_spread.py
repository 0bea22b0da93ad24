"""Standard errors are those that drawing the rows again would show."""

from __future__ import annotations

import numpy as np
import pytest

from zogan.tasks.spread import of_ratio, of_share


def test_a_share_spreads_as_drawn_rows_do() -> None:
    drawn = np.random.default_rng(0).random((4000, 400)) < 0.2
    assert of_share(80, 400) == pytest.approx(drawn.mean(axis=1).std(), rel=0.05)


def test_no_wrong_row_is_no_proof_that_none_is() -> None:
    assert 0.02 < of_share(0, 50) < 0.05
    assert of_share(0, 50) == pytest.approx(of_share(50, 50))


def test_a_loss_per_token_spreads_as_drawn_rows_do() -> None:
    generator = np.random.default_rng(1)
    counts = generator.integers(1, 40, size=300).astype(np.float64)
    sums = counts * (1 + 0.5 * generator.standard_normal(300))
    places = generator.integers(0, 300, size=(4000, 300))
    ratios = sums[places].sum(axis=1) / counts[places].sum(axis=1)
    assert of_ratio(sums, counts) == pytest.approx(ratios.std(), rel=0.05)


def test_one_row_has_no_spread() -> None:
    assert of_ratio(np.array([3.0]), np.array([2.0])) is None
