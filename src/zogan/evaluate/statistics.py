"""How far chance alone could move a figure: the bootstrap over rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64
from scipy import stats

Method = Literal["bca", "percentile", "none"]

Figures = Callable[[Float64[np.ndarray, "resamples rows"]], Float64[np.ndarray, "resamples figures"]]
"""From how often each row stands in a resample to the figures of that resample."""

_ELEMENTS_AT_ONCE = 4_000_000
_BCA_ROWS = 20_000
"""Above, the percentile method: BCa leaves out each row once, which grows with the square of the rows."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its confidence interval.

    Args:
        value: the figure over all rows.
        low: lower end.
        high: upper end.
        method: bca; percentile where BCa is not defined or too dear; none where there are fewer than two rows.
    """

    value: float
    low: float
    high: float
    method: Method


def intervals(figures: Figures, rows: int, *, level: float, resamples: int, seed: int) -> list[Interval]:
    """Bootstrap intervals of several figures on the same resamples of the rows.

    A difference of two systems' figures is one of these figures: computed on the same rows, it is paired.
    BCa: Efron, "Better bootstrap confidence intervals", JASA 82 (1987); by `scipy.stats.bootstrap`.

    Args:
        figures: see `Figures`.
        rows: number of rows.
        level: confidence level, 0 to 1.
        resamples: number of them.
        seed: of the resamples.
    """
    values = figures(np.ones((1, rows)))[0]
    if rows < 2:
        return [Interval(float(value), float(value), float(value), "none") for value in values]

    def statistic(indices: Int64[np.ndarray, "*resamples rows"], axis: int = -1) -> Float64[np.ndarray, "..."]:
        counts = _counts(np.atleast_2d(indices), rows)
        found = figures(counts)  # (resamples, figures)
        return found[0] if indices.ndim == 1 else np.ascontiguousarray(found.T)

    method: Literal["BCa", "percentile"] = "BCa" if rows <= _BCA_ROWS else "percentile"
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # what BCa cannot do is seen below as NaN
        warnings.simplefilter("ignore", category=stats.DegenerateDataWarning)
        warnings.simplefilter("ignore", category=RuntimeWarning)
        result = stats.bootstrap(
            (np.arange(rows),),
            statistic,
            n_resamples=resamples,
            batch=max(1, _ELEMENTS_AT_ONCE // rows),
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
