"""A learning curve: what twice the labels would bring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from jaxtyping import Float64

from zogan.errors import DataError
from zogan.evaluate.statistics.bootstrap import intervals_of_samples
from zogan.evaluate.statistics.interval import Interval

_DOUBLE = (1.9, 2.1)
"""What counts as twice: sizes are whole numbers of rows, often of each label."""

_DRAWS = 3
"""Fewer runs a size do not say how far another draw of training rows would move its point."""


WhyNoGain = Literal["few_runs", "few_rows", "same", "worse", "early"]

_REASONS: dict[WhyNoGain, str] = {
    "few_runs": "{runs} of {draws} runs a size: another draw of training rows may move each point",
    "few_rows": "too few test rows",
    "same": "all models do the same on every test row",
    "worse": "more labels made it worse, which no law of learning curves fits",
    "early": "the last doubling brought more than the one before: the curve is too early to be extended",
}


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """Figures at a quarter, half and all of the labels, and what twice as many would bring.

    Args:
        points: the figure at each size, in the mean of its runs.
        gain: the expected improvement at twice the labels, above 0 where better, in the metric's unit; None where it
            cannot be told.
        reason: why it cannot, in words; `why` is the same as a key.
    """

    points: tuple[Interval, Interval, Interval]
    gain: Interval | None
    reason: str | None
    why: WhyNoGain | None = None


def learning_curve(
    table: Float64[np.ndarray, "3 runs rows parts"],
    figure: Callable[[Float64[np.ndarray, "resamples parts"]], Float64[np.ndarray, " resamples"]],
    *,
    sizes: tuple[int, int, int],
    higher_is_better: bool,
    level: float,
    resamples: int,
    seed: int,
) -> LearningCurve:
    """The gain that twice the labels would bring, by a power law with an asymptote.

    Of figure(n) = a + b n^-c the steps from one doubling to the next have the constant ratio 2^-c, so that three sizes
    give all of it: the next step is the last one, times the last over the one before. The law: Cortes et al.,
    "Learning curves: asymptotic values and rate of convergence", NeurIPS (1993); Figueroa et al., "Predicting sample
    size required for classification performance", BMC Medical Informatics and Decision Making 12 (2012); how far to
    trust it: Viering and Loog, "The shape of learning curves: a review", IEEE TPAMI 45 (2023). In the law c is at least
    0, so the next step is held between 0 and the last one. The intervals are of percentiles, over test rows and over
    runs: another draw of training rows moves a point as far as test rows do, so that with fewer than three runs a size
    there is no gain.

    Args:
        table: what each test row adds to the figure, as `Metric.rows` gives it, of models that learned from a quarter,
            half and all of the labels; several runs of each, with their own draw of training rows and seed.
        figure: from the sums over rows, as `Metric.figure`.
        sizes: how many labels the models learned from, each twice those before.
        higher_is_better: which way is good.
        level: confidence level, 0 to 1.
        resamples: number of them.
        seed: of the resamples.

    Raises:
        DataError: sizes that do not double.
    """
    check_sizes(sizes)
    sign = 1 if higher_is_better else -1

    def figures(
        counts: Float64[np.ndarray, "resamples rows"], *runs: Float64[np.ndarray, "resamples runs"]
    ) -> Float64[np.ndarray, "resamples 6"]:
        each = [np.stack([figure(counts @ parts) for parts in size], axis=1) for size in table]  # (resamples, runs)
        weights = runs or [np.ones((1, table.shape[1]))] * len(table)
        quarter, half, whole = (
            (found * drawn).sum(axis=1) / drawn.sum(axis=1) for found, drawn in zip(each, weights, strict=True)
        )
        first, last = sign * (half - quarter), sign * (whole - half)
        return np.stack([quarter, half, whole, _next(first, last), first + last, last - first], axis=1)

    _, runs, rows, _ = table.shape
    drawn = (rows, runs, runs, runs) if runs > 1 else (rows,)
    found = intervals_of_samples(figures, drawn, level=level, resamples=resamples, seed=seed, accelerate=False)
    gain, rise, bend = found[3:]
    why = _why(gain, rise, bend, runs)
    reason = _REASONS[why].format(runs=runs, draws=_DRAWS) if why else None
    return LearningCurve((found[0], found[1], found[2]), None if why else gain, reason, why)


def check_sizes(sizes: tuple[int, int, int]) -> None:
    """Refuse sizes of which no curve can be taken.

    Raises:
        DataError: they do not double.
    """
    for less, more in pairwise(sizes):
        if less < 1 or not _DOUBLE[0] <= more / less <= _DOUBLE[1]:
            raise DataError(f"{more} labels are not twice {less}", where="sizes", todo="Give a quarter, half and all")


def _next(
    first: Float64[np.ndarray, " resamples"], last: Float64[np.ndarray, " resamples"]
) -> Float64[np.ndarray, " resamples"]:
    """The step after two: `last` squared over `first`, between 0 and `last`."""
    ratio = np.divide(last, first, out=np.ones_like(last), where=first > 0)
    return np.asarray(np.maximum(last, 0) * np.clip(ratio, 0, 1))


def _why(gain: Interval, rise: Interval, bend: Interval, runs: int) -> WhyNoGain | None:
    if runs < _DRAWS:
        return "few_runs"
    if gain.method == "none" or not np.isfinite([gain.low, gain.high]).all():
        return "few_rows"
    if rise.low == rise.high:
        return "same"
    if rise.high < 0:
        return "worse"
    if bend.low > 0:
        return "early"
    return None
