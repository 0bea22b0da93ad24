"""Shares of rows with the interval that each asks for, and figures of sums over rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float64
from scipy import stats

from zogan.evaluate.evaluation import Figure
from zogan.evaluate.metrics import ratio
from zogan.evaluate.probes.bench import Bench
from zogan.evaluate.statistics import Interval, intervals, match, score_interval

Sums = Float64[np.ndarray, "resamples parts"]


def share(hits: Bool[np.ndarray, " rows"], *, level: float) -> Figure:
    """Share of the rows that are hit, with Wilson's score interval, which has a width where none is hit too.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), by
    `scipy.stats.binomtest`.

    Args:
        hits: one row each, one at least.
        level: confidence level, 0 to 1.
    """
    found = stats.binomtest(int(hits.sum()), len(hits)).proportion_ci(level, method="wilson")
    return Figure(value=float(hits.mean()), low=float(found.low), high=float(found.high), method="score")


def paired(before: Bool[np.ndarray, " rows"], after: Bool[np.ndarray, " rows"], *, level: float) -> Figure:
    """Share of rows hit after less that before, with the score interval of matched pairs."""
    return Figure.of(score_interval(match(before, after), level=level))


def of_sums(
    bench: Bench,
    systems: Sequence[Float64[np.ndarray, "rows parts"]],
    value: Callable[[Sums], Float64[np.ndarray, " resamples"]] = ratio,
    *,
    accelerate: bool = True,
) -> list[Figure]:
    """A figure of the sums over rows, of one model or of two on the same rows, and the difference of the two.

    Args:
        bench: has level, resamples and seed.
        systems: what each row adds, before and after, or one of them.
        value: from the sums to the figure; the first part over the second's where absent.
        accelerate: as in `statistics.intervals`.

    Returns:
        A figure for each, then where there are two the second less the first.
    """

    def figures(counts: Float64[np.ndarray, "resamples rows"]) -> Float64[np.ndarray, "resamples figures"]:
        found = [value(counts @ rows) for rows in systems]
        return np.stack(found if len(found) == 1 else [*found, found[1] - found[0]], axis=1)

    return [Figure.of(one) for one in bootstrap(bench, figures, len(systems[0]), accelerate=accelerate)]


def bootstrap(
    bench: Bench,
    figures: Callable[[Float64[np.ndarray, "resamples rows"]], Float64[np.ndarray, "resamples figures"]],
    rows: int,
    *,
    accelerate: bool = True,
) -> list[Interval]:
    """`statistics.intervals` with the level, resamples and seed that figures are taken with."""
    settings = bench.settings
    return intervals(
        figures, rows, level=settings.level, resamples=settings.resamples, seed=bench.seed, accelerate=accelerate
    )
