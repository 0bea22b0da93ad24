"""How much better a figure is on one set of rows than on another that has nothing to do with it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64
from scipy import stats

from zogan.evaluate.statistics.bootstrap import intervals_of_samples
from zogan.evaluate.statistics.interval import Interval, share


def gap(
    first: Float64[np.ndarray, "first parts"],
    second: Float64[np.ndarray, "second parts"],
    figure: Callable[[Float64[np.ndarray, "resamples parts"]], Float64[np.ndarray, " resamples"]],
    *,
    higher_is_better: bool,
    level: float,
    resamples: int,
    seed: int,
) -> Interval:
    """The gap between a model's figure on two sets of rows: of training to held-out rows it is overfitting.

    Above 0 it is better on the first. The rows are not the same ones, so that each side is resampled by itself.

    Args:
        first: what each row adds to the figure, as `Metric.rows` gives it.
        second: the same of the other rows.
        figure: from the sums over rows, as `Metric.figure`.
        higher_is_better: which way is good.
        level: confidence level, 0 to 1.
        resamples: number of them.
        seed: of the resamples.
    """
    sign = 1 if higher_is_better else -1

    def figures(
        counts: Float64[np.ndarray, "resamples first"], others: Float64[np.ndarray, "resamples second"]
    ) -> Float64[np.ndarray, "resamples 1"]:
        return np.asarray(sign * (figure(counts @ first) - figure(others @ second)))[:, None]

    sizes = (len(first), len(second))
    return intervals_of_samples(figures, sizes, level=level, resamples=resamples, seed=seed)[0]


def gap_of_shares(first: tuple[int, int], second: tuple[int, int], *, level: float) -> Interval:
    """The gap between two shares of right rows, with the hybrid score interval of independent samples.

    Newcombe, "Interval estimation for the difference between independent proportions", Statistics in Medicine 17
    (1998), method 10, of Wilson's intervals by scipy. It has a width where all rows are right, too.

    Args:
        first: rows that are right, and rows.
        second: the same of the other set.
        level: confidence level, 0 to 1.
    """
    share(level, "level")
    (one, low, high), (other, low_of_other, high_of_other) = (_wilson(*part, level) for part in (first, second))
    value = one - other
    below = float(np.hypot(one - low, high_of_other - other))
    above = float(np.hypot(high - one, other - low_of_other))
    return Interval(value, value - below, value + above, "score")


def _wilson(right: int, rows: int, level: float) -> tuple[float, float, float]:
    ends = stats.binomtest(right, rows).proportion_ci(level, method="wilson")
    return right / rows, float(ends.low), float(ends.high)
