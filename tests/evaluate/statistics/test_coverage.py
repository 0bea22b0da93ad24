"""95 % intervals of differences hold the truth in 93 to 97 % of simulated data sets."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from jaxtyping import Float64

from zogan.evaluate.metrics import metrics
from zogan.evaluate.statistics import Figures, RightOrWrong, intervals, intervals_of_samples

SETS, AT_ONCE = 2000, 100
"""Their chance: half a percent. Sets that are resampled together are columns of one matrix."""

LABELS = 4
SHARES = np.array([0.4, 0.3, 0.2, 0.1])
RIGHT = (0.6, 0.75)

Simulated = Callable[[np.random.Generator, int], Figures]
"""From a generator and a number of rows to the differences of so many sets."""


def mean(counts: Float64[np.ndarray, "resamples rows"], table: np.ndarray) -> Float64[np.ndarray, "resamples sets"]:
    return np.asarray(counts @ table / counts.sum(axis=1, keepdims=True))


def accuracy(gained: float, lost: float) -> Simulated:
    def make(generator: np.random.Generator, rows: int) -> Figures:
        table = generator.choice([1.0, -1.0, 0.0], p=[gained, lost, 1 - gained - lost], size=(rows, AT_ONCE))
        return lambda counts: mean(counts, table)

    return make


def mean_loss(generator: np.random.Generator, rows: int) -> Figures:
    """Hard rows gain more, and vary more."""
    hard = generator.gamma(2, 1, (rows, AT_ONCE))
    table = -0.1 * hard + 0.2 * np.sqrt(hard) * generator.normal(size=(rows, AT_ONCE))
    return lambda counts: mean(counts, table)


def macro_f1(generator: np.random.Generator, rows: int) -> Figures:
    """Four labels of unlike size; a model knows a row's label or guesses; both know the same rows."""
    truth = generator.choice(LABELS, p=SHARES, size=(AT_ONCE, rows))
    known, identity = generator.random((AT_ONCE, rows)), np.eye(LABELS)
    tables = []
    for right in RIGHT:
        choice = np.where(known < right, truth, generator.integers(0, LABELS, (AT_ONCE, rows)))
        parts = [identity[choice] * identity[truth], identity[choice], identity[truth]]
        tables.append(np.concatenate(parts, axis=2).transpose(1, 0, 2).reshape(rows, -1))  # (rows, sets * parts)

    def figures(counts: Float64[np.ndarray, "resamples rows"]) -> Float64[np.ndarray, "resamples sets"]:
        found = [
            metrics("classification")["macro_f1"].figure((counts @ table).reshape(-1, 3 * LABELS)) for table in tables
        ]
        return np.asarray(found[1] - found[0]).reshape(len(counts), AT_ONCE)

    return figures


def true_macro_f1(right: float) -> float:
    joint = SHARES[:, None] * (right * np.eye(LABELS) + (1 - right) / LABELS)
    return float(np.mean(2 * np.diag(joint) / (joint.sum(axis=0) + joint.sum(axis=1))))


@pytest.mark.parametrize("rows", [100, 200, 400])
@pytest.mark.parametrize(
    ("simulated", "truth"),
    [
        (accuracy(0.1, 0.05), 0.05),
        (accuracy(0.15, 0.15), 0.0),
        (mean_loss, -0.2),
        (macro_f1, true_macro_f1(RIGHT[1]) - true_macro_f1(RIGHT[0])),
    ],
    ids=["accuracy-better", "accuracy-same", "loss", "macro_f1"],
)
def test_the_bootstrap(simulated: Simulated, truth: float, rows: int) -> None:
    inside = 0
    for seed in range(SETS // AT_ONCE):
        figures = simulated(np.random.default_rng(seed), rows)
        found = intervals(figures, rows, level=0.95, resamples=1000, seed=seed)
        inside += sum(one.low <= truth <= one.high for one in found)
    assert 0.93 <= inside / SETS <= 0.97


def test_the_bootstrap_of_two_samples() -> None:
    """The gap of a loss between 400 training rows and 200 held out."""
    inside = 0
    for seed in range(SETS // AT_ONCE):
        generator = np.random.default_rng(seed)
        training, held_out = generator.gamma(2, 0.5, (400, AT_ONCE)), generator.gamma(2, 0.6, (200, AT_ONCE))

        def gaps(
            first: Float64[np.ndarray, "resamples first"],
            second: Float64[np.ndarray, "resamples second"],
            training: np.ndarray = training,
            held_out: np.ndarray = held_out,
        ) -> Float64[np.ndarray, "resamples sets"]:
            return np.asarray(mean(second, held_out) - mean(first, training))

        found = intervals_of_samples(gaps, (400, 200), level=0.95, resamples=1000, seed=seed)
        inside += sum(one.low <= 0.2 <= one.high for one in found)
    assert 0.93 <= inside / SETS <= 0.97


@pytest.mark.parametrize("rows", [100, 200, 400])
@pytest.mark.parametrize(("gained", "lost"), [(0.1, 0.05), (0.02, 0.02), (0.03, 0.01), (0.15, 0.15)])
def test_the_score_interval_where_rows_are_right_or_wrong(gained: float, lost: float, rows: int) -> None:
    """Exactly: the interval misses the truth where the test that it belongs to rejects it, on either side."""
    design, truth = RightOrWrong(gained + lost), gained - lost
    missed = [design.power(rows, improvement=side, beyond=side, level=0.95) for side in (truth, -truth)]
    assert 0.93 <= 1 - sum(missed) <= 0.97
