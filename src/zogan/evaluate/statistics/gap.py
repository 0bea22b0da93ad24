"""Overfitting: how much better a model is on the rows that it learned from than on rows held out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

from zogan.evaluate.statistics.bootstrap import intervals_of_samples
from zogan.evaluate.statistics.interval import Interval


def overfitting(
    training: Float64[np.ndarray, "training parts"],
    held_out: Float64[np.ndarray, "held_out parts"],
    figure: Callable[[Float64[np.ndarray, "resamples parts"]], Float64[np.ndarray, " resamples"]],
    *,
    higher_is_better: bool,
    level: float,
    resamples: int,
    seed: int,
) -> Interval:
    """The gap between a model's figure on training rows and on held-out rows, at one epoch.

    Above 0 it is better on what it has seen. The rows are not the same ones, so that each side is resampled by itself.

    Args:
        training: what each training row adds to the figure, as `Metric.rows` gives it.
        held_out: the same of the held-out rows.
        figure: from the sums over rows, as `Metric.figure`.
        higher_is_better: which way is good.
        level: confidence level, 0 to 1.
        resamples: number of them.
        seed: of the resamples.
    """
    sign = 1 if higher_is_better else -1

    def figures(
        first: Float64[np.ndarray, "resamples training"], second: Float64[np.ndarray, "resamples held_out"]
    ) -> Float64[np.ndarray, "resamples 1"]:
        return np.asarray(sign * (figure(first @ training) - figure(second @ held_out)))[:, None]

    sizes = (len(training), len(held_out))
    return intervals_of_samples(figures, sizes, level=level, resamples=resamples, seed=seed)[0]
