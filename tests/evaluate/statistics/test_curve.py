"""Learning curves: the law is met exactly, its interval holds the truth, and what cannot be told is not."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import Float64
from scipy import stats

from zogan.errors import DataError
from zogan.evaluate.metrics import ratio
from zogan.evaluate.statistics import LearningCurve, intervals, learning_curve
from zogan.evaluate.statistics.curve import _next


def curve(
    figures: Float64[np.ndarray, "3 rows"], *, up: bool = True, sizes: tuple[int, int, int] = (100, 200, 400)
) -> LearningCurve:
    table = np.stack([figures, np.ones_like(figures)], axis=2)
    return learning_curve(table, ratio, sizes=sizes, higher_is_better=up, level=0.95, resamples=400, seed=0)


def right(shares: list[float], rows: int, seed: int) -> Float64[np.ndarray, "3 rows"]:
    """Three models that find the same rows hard."""
    generator = np.random.default_rng(seed)
    hard = 0.8 * generator.normal(size=(1, rows)) + 0.6 * generator.normal(size=(3, rows))
    return np.asarray(stats.norm.cdf(hard) < np.array(shares)[:, None], dtype=np.float64)


@pytest.mark.parametrize("up", [True, False])
def test_a_power_law_goes_on(up: bool) -> None:
    levels = np.array([0.3 + 2 * size**-0.5 for size in (100, 200, 400, 800)])
    noise = np.random.default_rng(0).normal(size=300)
    errors = levels[:3, None] + noise - noise.mean()
    found = curve(-errors if up else errors, up=up)
    assert found.reason is None
    assert found.gain is not None
    assert found.gain.value == pytest.approx(levels[2] - levels[3])
    assert found.points[0].value == pytest.approx(-levels[0] if up else levels[0])


def test_the_gain_is_at_most_the_last_step_and_at_least_0() -> None:
    falls = curve(right([0.6, 0.72, 0.68], 300, 1))
    rises = curve(right([0.7, 0.69, 0.72], 300, 2))
    assert falls.gain is not None
    assert falls.gain.value == falls.gain.low == 0
    assert rises.gain is not None
    assert 0 <= rises.gain.value <= max(0, rises.points[2].value - rises.points[1].value)


@pytest.mark.parametrize("shares", [[0.6, 0.7, 0.75], [0.7, 0.75, 0.78], [0.8, 0.81, 0.815]])
def test_coverage(shares: list[float]) -> None:
    """Of the gain, over a thousand sets of 400 rows; a hundred sets are columns of one matrix."""
    truth = (shares[2] - shares[1]) ** 2 / (shares[1] - shares[0])
    inside = 0
    for start in range(0, 1000, 100):
        tables = np.stack([right(shares, 400, seed) for seed in range(start, start + 100)], axis=2)  # (3, rows, sets)

        def gains(counts: Float64[np.ndarray, "resamples rows"], tables: np.ndarray = tables) -> np.ndarray:
            steps = np.diff(np.stack([counts @ table / 400 for table in tables]), axis=0)
            return _next(steps[0].ravel(), steps[1].ravel()).reshape(len(counts), -1)

        found = intervals(gains, 400, level=0.95, resamples=1000, seed=start, accelerate=False)
        inside += sum(one.low <= truth <= one.high for one in found)
    assert 0.92 <= inside / 1000 <= 0.99


def test_the_gain_is_that_of_percentiles() -> None:
    figures = right([0.6, 0.7, 0.75], 300, 6)
    found = curve(figures).gain
    assert found is not None

    def gain(counts: Float64[np.ndarray, "resamples rows"]) -> Float64[np.ndarray, "resamples 1"]:
        first, last = np.diff(np.stack([counts @ row / 300 for row in figures]), axis=0)
        return _next(first, last)[:, None]

    (peer,) = intervals(gain, 300, level=0.95, resamples=400, seed=0, accelerate=False)
    assert (found.low, found.value, found.high) == pytest.approx((peer.low, peer.value, peer.high))


def test_what_cannot_be_told_has_a_reason() -> None:
    assert curve(np.array([[0.0], [1.0], [1.0]])).reason == "too few test rows"
    assert curve(np.ones((3, 50))).reason == "the three models do the same on every test row"
    assert "made it worse" in str(curve(right([0.9, 0.7, 0.5], 300, 3)).reason)
    assert "too early" in str(curve(right([0.4, 0.42, 0.8], 300, 4)).reason)
    assert curve(np.ones((3, 50))).gain is None


def test_sizes_must_double() -> None:
    assert curve(right([0.6, 0.7, 0.75], 100, 5), sizes=(25, 51, 101)).gain is not None
    with pytest.raises(DataError, match="sizes: 300 labels are not twice 200"):
        curve(right([0.6, 0.7, 0.75], 100, 5), sizes=(100, 200, 300))
