"""How far chance alone could move a figure: the bootstrap over rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64
from scipy import stats

from zogan.evaluate.statistics.interval import Interval

Figures = Callable[[Float64[np.ndarray, "resamples rows"]], Float64[np.ndarray, "resamples figures"]]
"""From how often each row stands in a resample to the figures of that resample.

The counts of a resample do not always sum to the number of rows: BCa leaves out each row once. A mean divides by them.
"""

FiguresOfSamples = Callable[..., Float64[np.ndarray, "resamples figures"]]
"""The same, of several samples that have nothing to do with each other: one matrix of counts for each."""

_ELEMENTS_AT_ONCE = 4_000_000
_BCA_ROWS = 20_000
"""Above, the percentile method: BCa leaves out each row once, which grows with the square of the rows."""


def intervals(
    figures: Figures, rows: int, *, level: float, resamples: int, seed: int, accelerate: bool = True
) -> list[Interval]:
    """Bootstrap intervals of several figures on the same resamples of the rows.

    A difference of two systems' figures is one of these figures: computed on the same rows, it is paired.
    BCa: Efron, "Better bootstrap confidence intervals", JASA 82 (1987); by `scipy.stats.bootstrap`. A figure for which
    that gives NaN has the percentile interval: one that never varies (both ends are its value), or that no resample
    brings to its value or below. A figure that is not finite on every resample has NaN for ends.

    Args:
        figures: see `Figures`.
        rows: number of rows.
        level: confidence level, 0 to 1.
        resamples: number of them.
        seed: of the resamples.
        accelerate: BCa; percentiles alone where false, for a figure that is held within a bound.
    """
    return _bootstrap(figures, (rows,), level, resamples, seed, accelerate)


def intervals_of_samples(
    figures: FiguresOfSamples,
    sizes: tuple[int, ...],
    *,
    level: float,
    resamples: int,
    seed: int,
    accelerate: bool = True,
) -> list[Interval]:
    """Bootstrap intervals of figures of several independent samples, each resampled by itself.

    Args:
        figures: see `FiguresOfSamples`.
        sizes: how many rows, or whatever is resampled, each has.
        level: confidence level, 0 to 1.
        resamples: number of them.
        seed: of the resamples.
        accelerate: as in `intervals`.
    """
    return _bootstrap(figures, sizes, level, resamples, seed, accelerate)


def _bootstrap(
    figures: FiguresOfSamples,
    sizes: tuple[int, ...],
    level: float,
    resamples: int,
    seed: int,
    accelerate: bool,
) -> list[Interval]:
    values = figures(*(np.ones((1, rows)) for rows in sizes))[0]
    if min(sizes) < 2:
        return [Interval(float(value), float(value), float(value), "none") for value in values]

    def statistic(*samples: Int64[np.ndarray, "..."], axis: int = -1) -> Float64[np.ndarray, "..."]:
        counts = [_counts(np.atleast_2d(drawn), rows) for drawn, rows in zip(samples, sizes, strict=True)]
        found = figures(*counts)  # (resamples, figures)
        return found[0] if samples[0].ndim == 1 else np.ascontiguousarray(found.T)

    method: Literal["BCa", "percentile"] = "BCa" if accelerate and max(sizes) <= _BCA_ROWS else "percentile"
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # what BCa cannot do is seen below as NaN
        warnings.simplefilter("ignore", category=stats.DegenerateDataWarning)
        warnings.simplefilter("ignore", category=RuntimeWarning)
        result = stats.bootstrap(
            tuple(np.arange(rows) for rows in sizes),
            statistic,
            n_resamples=resamples,
            batch=max(1, _ELEMENTS_AT_ONCE // sum(sizes)),
            vectorized=True,
            confidence_level=level,
            method=method,
            rng=np.random.default_rng(seed),
        )
        tail = (1 - level) / 2
        plain = np.quantile(result.bootstrap_distribution, [tail, 1 - tail], axis=-1)  # (2, figures)
    accelerated = np.stack([result.confidence_interval.low, result.confidence_interval.high])
    defined = np.isfinite(accelerated).all(axis=0) & (method == "BCa")
    ends = np.where(defined, accelerated, plain)
    return [
        Interval(float(value), float(low), float(high), "bca" if good else "percentile")
        for value, low, high, good in zip(values, *ends, defined, strict=True)
    ]


def _counts(indices: Int64[np.ndarray, "resamples drawn"], rows: int) -> Float64[np.ndarray, "resamples rows"]:
    """How often each row stands in each resample."""
    offsets = rows * np.arange(len(indices))[:, None]
    flat = np.bincount((indices + offsets).ravel(), minlength=rows * len(indices))
    return flat.reshape(len(indices), rows).astype(np.float64)
