"""A paired permutation test for any metric."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64
from scipy import stats

from zogan.errors import DataError
from zogan.evaluate.statistics.matched import Alternative

_ELEMENTS_AT_ONCE = 4_000_000


def sign_flip(
    first: Float64[np.ndarray, "rows parts"],
    second: Float64[np.ndarray, "rows parts"],
    figure: Callable[[Float64[np.ndarray, "resamples parts"]], Float64[np.ndarray, " resamples"]],
    *,
    shift: float = 0.0,
    alternative: Alternative = "two-sided",
    resamples: int,
    seed: int,
) -> float:
    """The p-value of the test that swapping the two systems on any row changes nothing but chance.

    Each resample swaps the systems on a random half of the rows, which of a mean flips the signs of the rows'
    differences; by `scipy.stats.permutation_test`, over all swaps where there are no more than `resamples`. Pitman,
    "Significance tests which may be applied to samples from any populations", JRSS Supplement 4 (1937); for text,
    Noreen, "Computer-intensive methods for testing hypotheses" (1989).

    With a shift each row carries its share of it, so that of a mean the differences plus the shift are flipped. That is
    exact where differences lie symmetrically about -shift, and near it at many rows. Rows that are right or wrong are
    not so where few of them differ: use `score_test`.

    Args:
        first: what each row adds to the one system's figure, as `Metric.rows` gives it.
        second: the same rows of the other system.
        figure: from the sums over rows, as `Metric.figure`.
        shift: added to the difference, in the metric's unit; the margin where the test is of non-inferiority.
        alternative: `greater`: the second's figure less the first's is above -shift.
        resamples: number of them.
        seed: of the resamples.

    Raises:
        DataError: no rows.
    """
    rows = len(first)
    if not rows:
        raise DataError("no rows to compare", todo="Give both systems the same rows, at least one")
    both, apart = first + second, second - first

    def statistic(signs: Float64[np.ndarray, "..."], axis: int = -1) -> Float64[np.ndarray, "..."]:
        flat = np.moveaxis(signs, axis, -1).reshape(-1, rows)  # (resamples, rows)
        swapped = flat @ apart
        sums = both.sum(axis=0)
        found = figure((sums + swapped) / 2) - figure((sums - swapped) / 2) + shift * flat.mean(axis=1)
        return np.asarray(found.reshape(np.delete(signs.shape, axis)))

    result = stats.permutation_test(
        (np.ones(rows),),
        statistic,
        permutation_type="samples",
        alternative=alternative,
        n_resamples=resamples,
        batch=max(1, _ELEMENTS_AT_ONCE // rows),
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)
