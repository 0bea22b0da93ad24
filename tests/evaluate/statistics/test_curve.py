"""Learning curves: the law is met exactly, its interval holds the truth, and what cannot be told is not."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import Float64
from scipy import stats

from zogan.errors import DataError
from zogan.evaluate.metrics import ratio
from zogan.evaluate.statistics import LearningCurve, learning_curve


def curve(
    figures: Float64[np.ndarray, "3 runs rows"], *, up: bool = True, sizes: tuple[int, int, int] = (100, 200, 400)
) -> LearningCurve:
    table = np.stack([figures, np.ones_like(figures)], axis=3)
    return learning_curve(table, ratio, sizes=sizes, higher_is_better=up, level=0.95, resamples=400, seed=0)


def right(
    shares: list[float], rows: int, seed: int, *, runs: int = 3, spread: float = 0.0
) -> Float64[np.ndarray, "3 runs rows"]:
    """Models that find the same rows hard; runs of a size differ in the share that they have right."""
    generator = np.random.default_rng(seed)
    hard = 0.8 * generator.normal(size=(1, 1, rows)) + 0.6 * generator.normal(size=(3, runs, rows))
    each = np.array(shares)[:, None, None] + spread * generator.normal(size=(3, runs, 1))
    return np.asarray(stats.norm.cdf(hard) < each, dtype=np.float64)


@pytest.mark.parametrize("up", [True, False])
def test_a_power_law_goes_on(up: bool) -> None:
    levels = np.array([0.3 + 2 * size**-0.5 for size in (100, 200, 400, 800)])
    noise = np.random.default_rng(0).normal(size=300)
    errors = np.repeat(levels[:3, None, None] + noise - noise.mean(), 3, axis=1)
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


@pytest.mark.parametrize("shares", [[0.6, 0.7, 0.75], [0.8, 0.81, 0.815]])
def test_coverage(shares: list[float]) -> None:
    """Where both test rows and runs are chance. Held between bounds, the interval may hold the truth more often."""
    truth = (shares[2] - shares[1]) ** 2 / (shares[1] - shares[0])
    found = [curve(right(shares, 200, seed, runs=4, spread=0.02)).gain for seed in range(200)]
    told = [gain for gain in found if gain is not None]
    assert len(told) >= 190
    assert np.mean([gain.low <= truth <= gain.high for gain in told]) >= 0.9


def test_runs_that_differ_widen_the_interval() -> None:
    alike, apart = (curve(right([0.6, 0.7, 0.75], 2000, 6, spread=spread)).points[2] for spread in (0.0, 0.05))
    assert apart.high - apart.low > 1.5 * (alike.high - alike.low)


@pytest.mark.parametrize("runs", [1, 2])
def test_few_runs_have_points_and_no_gain(runs: int) -> None:
    found = curve(right([0.6, 0.7, 0.75], 300, 7, runs=runs))
    assert found.gain is None
    assert found.reason == f"{runs} of 3 runs a size: another draw of training rows may move each point"
    assert all(point.low < point.value < point.high for point in found.points)


def test_what_cannot_be_told_has_a_reason() -> None:
    assert curve(np.repeat([[[0.0]], [[1.0]], [[1.0]]], 3, axis=1)).reason == "too few test rows"
    assert curve(np.ones((3, 3, 50))).reason == "all models do the same on every test row"
    assert "made it worse" in str(curve(right([0.9, 0.7, 0.5], 300, 3)).reason)
    assert "too early" in str(curve(right([0.4, 0.42, 0.8], 300, 4)).reason)
    assert curve(np.ones((3, 3, 50))).gain is None


def test_sizes_must_double() -> None:
    assert curve(right([0.6, 0.7, 0.75], 100, 5), sizes=(25, 51, 101)).gain is not None
    with pytest.raises(DataError, match="sizes: 300 labels are not twice 200"):
        curve(right([0.6, 0.7, 0.75], 100, 5), sizes=(100, 200, 300))
