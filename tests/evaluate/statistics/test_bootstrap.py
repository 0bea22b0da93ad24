"""Intervals are paired, are those of scipy, and say what they are where scipy has none."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import Float64
from scipy import stats

from zogan.evaluate.statistics import Figures, bootstrap, intervals, intervals_of_samples


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
    monkeypatch.setattr(bootstrap, "_BCA_ROWS", 20)
    (found,) = intervals(mean_of(np.arange(30.0)), 30, level=0.95, resamples=200, seed=0)
    assert found.method == "percentile"
    assert found.low < 14.5 < found.high


def test_one_row_has_no_interval() -> None:
    (found,) = intervals(mean_of(np.array([2.0])), 1, level=0.95, resamples=200, seed=0)
    assert (found.value, found.low, found.high, found.method) == (2.0, 2.0, 2.0, "none")


@pytest.mark.parametrize("rows", [2, 3, 5])
def test_few_rows_have_an_interval_within_their_figures(rows: int) -> None:
    sample = np.arange(rows) ** 2.0
    (found,) = intervals(mean_of(sample), rows, level=0.95, resamples=500, seed=0)
    assert sample.min() <= found.low < found.value < found.high <= sample.max()
    assert found.method == "bca"


def test_a_figure_that_every_resample_raises_has_a_percentile_interval() -> None:
    # Rows that are not drawn: none of all of them, some of every resample, so that the bias of BCa is infinite.
    (found,) = intervals(
        lambda counts: (counts == 0).sum(axis=1, keepdims=True) * 1.0, 20, level=0.95, resamples=200, seed=0
    )
    assert found.method == "percentile"
    assert found.value == 0 < found.low < found.high


def test_a_figure_that_some_resamples_lack_has_no_ends() -> None:
    # A ratio of which only one row in ten has a denominator.
    held = np.zeros(10)
    held[0] = 1.0

    def figures(counts: Float64[np.ndarray, "resamples rows"]) -> Float64[np.ndarray, "resamples 1"]:
        return (counts @ held / (counts @ held))[:, None]

    (found,) = intervals(figures, 10, level=0.95, resamples=200, seed=0)
    assert found.value == 1.0
    assert np.isnan([found.low, found.high]).all()
    assert found.method == "percentile"


def test_percentiles_alone_where_they_are_asked_for() -> None:
    sample = np.random.default_rng(6).exponential(size=50)
    (found,) = intervals(mean_of(sample), 50, level=0.9, resamples=500, seed=1, accelerate=False)
    peer = stats.bootstrap(
        (sample,), np.mean, n_resamples=500, confidence_level=0.9, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((peer.low, peer.high), abs=1e-12)


def test_two_samples_are_as_scipy_has_them() -> None:
    generator = np.random.default_rng(7)
    first, second = generator.exponential(size=40), generator.exponential(size=25)

    def figures(
        one: Float64[np.ndarray, "resamples first"], two: Float64[np.ndarray, "resamples second"]
    ) -> Float64[np.ndarray, "resamples 1"]:
        return np.asarray(one @ first / one.sum(axis=1) - two @ second / two.sum(axis=1))[:, None]

    (found,) = intervals_of_samples(figures, (40, 25), level=0.9, resamples=500, seed=2)
    peer = stats.bootstrap(
        (first, second),
        lambda one, two, axis: one.mean(axis=axis) - two.mean(axis=axis),
        n_resamples=500,
        confidence_level=0.9,
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((peer.low, peer.high), abs=1e-12)
    assert found.method == "bca"
