"""Intervals hold the truth as often as they say, and are paired."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import Float64
from scipy import stats

from zogan.evaluate import statistics
from zogan.evaluate.statistics import Figures, intervals


def mean_of(*columns: Float64[np.ndarray, " rows"]) -> Figures:
    """The mean of each column, as figures."""
    table = np.stack(columns, axis=1)

    def figures(counts: Float64[np.ndarray, "resamples rows"]) -> Float64[np.ndarray, "resamples figures"]:
        return np.asarray(counts @ table / counts.sum(axis=1, keepdims=True))

    return figures


def test_a_mean_is_as_scipy_has_it() -> None:
    sample = np.random.default_rng(0).exponential(size=80)
    (found,) = intervals(mean_of(sample), 80, level=0.9, resamples=500, seed=3)
    peer = stats.bootstrap(
        (sample,), np.mean, n_resamples=500, confidence_level=0.9, method="BCa", rng=np.random.default_rng(3)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((peer.low, peer.high), abs=1e-12)
    assert found.value == pytest.approx(sample.mean())
    assert found.method == "bca"


def test_coverage() -> None:
    generator = np.random.default_rng(1)
    inside = 0
    for seed in range(200):
        sample = generator.exponential(size=60)
        (found,) = intervals(mean_of(sample), 60, level=0.9, resamples=300, seed=seed)
        inside += found.low <= 1 <= found.high
    assert 0.82 <= inside / 200 <= 0.97


def test_a_paired_difference_is_narrower_than_its_parts() -> None:
    generator = np.random.default_rng(2)
    hard = generator.normal(size=200)
    before, after = hard, hard + 0.1 + 0.05 * generator.normal(size=200)
    first, second, gain = intervals(mean_of(before, after, after - before), 200, level=0.95, resamples=400, seed=0)
    assert gain.low > 0
    assert gain.high - gain.low < 0.2 * (first.high - first.low)
    assert first.low < second.value < first.high


def test_the_seed_decides() -> None:
    sample = np.random.default_rng(4).normal(size=50)
    runs = [intervals(mean_of(sample), 50, level=0.95, resamples=200, seed=seed) for seed in (5, 5, 6)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_what_never_varies_has_a_percentile_interval() -> None:
    flat, varied = np.ones(30), np.arange(30.0)
    first, second = intervals(mean_of(flat, varied), 30, level=0.95, resamples=200, seed=0)
    assert (first.low, first.high, first.method) == (1.0, 1.0, "percentile")
    assert second.method == "bca"


def test_many_rows_have_percentile_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_BCA_ROWS", 20)
    (found,) = intervals(mean_of(np.arange(30.0)), 30, level=0.95, resamples=200, seed=0)
    assert found.method == "percentile"
    assert found.low < 14.5 < found.high


def test_one_row_has_no_interval() -> None:
    (found,) = intervals(mean_of(np.array([2.0])), 1, level=0.95, resamples=200, seed=0)
    assert (found.value, found.low, found.high, found.method) == (2.0, 2.0, 2.0, "none")
