"""Variance over seeds and over rows: identities, and intervals that hold both."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from zogan.errors import DataError
from zogan.evaluate.statistics import components


def test_by_hand() -> None:
    # Seeds have the means 2 and 5; rows 1, 2 and 7.5.
    table = np.array([[0.0, 1.0, 5.0], [2.0, 3.0, 10.0]])
    found = components(table, level=0.95)
    assert found.value == pytest.approx(3.5)
    # Mean squares: seeds 13.5 with 1 degree, rows 24.5 with 2, rest 1.5 with 2.
    assert (found.seeds, found.rows, found.rest) == pytest.approx((12 / 3, 23 / 2, 1.5))
    spread = 13.5 + 24.5 - 1.5
    assert found.freedom == pytest.approx(spread**2 / (13.5**2 + 24.5**2 / 2 + 1.5**2 / 2))
    half = stats.t.isf(0.025, found.freedom) * (spread / 6) ** 0.5
    assert (found.low, found.high) == pytest.approx((3.5 - half, 3.5 + half))


def test_seeds_that_do_the_same_leave_students_interval_of_rows() -> None:
    row = np.random.default_rng(0).normal(size=40)
    found = components(np.stack([row, row, row]), level=0.9)
    assert (found.seeds, found.rest) == pytest.approx((0, 0), abs=1e-12)
    assert found.rows == pytest.approx(row.var(ddof=1))
    peer = stats.t.interval(0.9, 39, loc=row.mean(), scale=stats.sem(row))
    assert (found.low, found.high) == pytest.approx(peer)


def test_a_table_that_never_varies_has_no_width() -> None:
    found = components(np.full((3, 5), 0.7), level=0.95)
    assert (found.value, found.low, found.high) == pytest.approx((0.7, 0.7, 0.7))


@pytest.mark.parametrize("shape", [(1, 9), (9, 1)])
def test_one_seed_or_row_has_no_variance(shape: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="have no variance between them"):
        components(np.zeros(shape), level=0.95)


def test_components_are_told_apart() -> None:
    generator = np.random.default_rng(1)
    found = [
        components(
            0.5 * generator.normal(size=(6, 1))
            + generator.normal(size=(1, 150))
            + 0.3 * generator.normal(size=(6, 150)),
            level=0.95,
        )
        for _ in range(400)
    ]
    for name, truth in (("seeds", 0.25), ("rows", 1.0), ("rest", 0.09)):
        assert np.mean([getattr(one, name) for one in found]) == pytest.approx(truth, rel=0.1)


@pytest.mark.parametrize(("seeds", "of_seeds"), [(3, 0.0), (3, 0.1), (5, 0.2)])
def test_coverage(seeds: int, of_seeds: float) -> None:
    generator = np.random.default_rng(2)
    inside = 0
    for _ in range(1500):
        table = of_seeds * generator.normal(size=(seeds, 1)) + generator.normal(size=(1, 200))
        found = components(table + 0.5 * generator.normal(size=(seeds, 200)), level=0.95)
        inside += found.low <= 0 <= found.high
    assert 0.93 <= inside / 1500 <= 0.97


def test_rows_alone_would_be_too_sure() -> None:
    generator = np.random.default_rng(3)
    table = 0.3 * generator.normal(size=(5, 1)) + generator.normal(size=(1, 200))
    both, alone = components(table, level=0.95), stats.t.interval(0.95, 199, scale=stats.sem(table.mean(axis=0)))
    assert both.high - both.low > 1.5 * (alone[1] - alone[0])
