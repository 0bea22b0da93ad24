"""Two systems that are right or wrong on the same rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64
from scipy import stats
from scipy.optimize import brentq

from zogan.errors import DataError
from zogan.evaluate.statistics.interval import Interval, share

Alternative = Literal["two-sided", "greater", "less"]
Counts = float | Float64[np.ndarray, "..."]

_LARGEST_SCORE = 1e6


@dataclass(frozen=True, slots=True)
class Matched:
    """What matters of rows on which two systems were right or wrong.

    Args:
        rows: number of rows.
        gained: rows that the second alone had right.
        lost: rows that the first alone had right.
    """

    rows: int
    gained: int
    lost: int

    @property
    def difference(self) -> float:
        """Accuracy of the second less that of the first."""
        return (self.gained - self.lost) / self.rows


def match(first: Bool[np.ndarray, " rows"], second: Bool[np.ndarray, " rows"]) -> Matched:
    """Count the rows that only one of two systems had right.

    Args:
        first: whether the one system was right, row by row.
        second: the other, on the same rows.

    Raises:
        DataError: no rows.
    """
    if not len(first):
        raise DataError("no rows to compare", todo="Give both systems the same rows, at least one")
    return Matched(len(first), int((second & ~first).sum()), int((first & ~second).sum()))


def mcnemar(matched: Matched, *, alternative: Alternative = "two-sided") -> float:
    """The p-value of the exact test that both systems are equally often right, by `scipy.stats.binomtest`.

    McNemar, "Note on the sampling error of the difference between correlated proportions", Psychometrika 12 (1947),
    with the binomial distribution in the place of the chi-squared. 1 where the systems differ on no row.

    Args:
        matched: what the systems did.
        alternative: `greater`: the second is more often right.
    """
    if not matched.gained + matched.lost:
        return 1.0
    return float(stats.binomtest(matched.gained, matched.gained + matched.lost, alternative=alternative).pvalue)


def score_test(matched: Matched, *, shift: float = 0.0, alternative: Alternative = "two-sided") -> float:
    """The p-value of the test that the difference of accuracies is -shift: the one to use with a margin.

    Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample design",
    Statistics in Medicine 17 (1998). Sound at few rows, and where the systems differ on none of them.

    Args:
        matched: what the systems did.
        shift: the margin of non-inferiority, 0 to 1; with `greater`, a small p-value says that the second is less than
            this much worse.
        alternative: `greater`: the difference is above -shift.
    """
    found = float(score(matched.gained, matched.lost, matched.rows, -shift))
    one_sided = {"greater": stats.norm.sf(found), "less": stats.norm.cdf(found)}
    return float(one_sided[alternative]) if alternative != "two-sided" else float(2 * stats.norm.sf(abs(found)))


def score_interval(matched: Matched, *, level: float) -> Interval:
    """The interval of the difference of accuracies that belongs to `score_test` (Tango 1998).

    It never shrinks to a point, as a bootstrap does where two systems agree on every row.

    Args:
        matched: what the systems did.
        level: confidence level, 0 to 1.

    Raises:
        ConfigError: a level that is none.
    """
    wanted = float(stats.norm.isf((1 - share(level, "level")) / 2))

    def beyond(difference: float, score_there: float) -> float:
        found = score(matched.gained, matched.lost, matched.rows, difference)
        return float(np.clip(found, -_LARGEST_SCORE, _LARGEST_SCORE)) - score_there

    value = matched.difference
    low = -1.0 if value == -1 else brentq(beyond, -1, value, args=(wanted,))
    high = 1.0 if value == 1 else brentq(beyond, value, 1, args=(-wanted,))
    return Interval(value, float(low), float(high), "score")


def score(gained: Counts, lost: Counts, rows: int, difference: float) -> Float64[np.ndarray, "..."]:
    """How many standard errors the counts lie above a true difference (Tango 1998).

    Args:
        gained: rows that the second alone had right, any shape.
        lost: rows that the first alone had right, the same shape.
        rows: number of rows.
        difference: the second's accuracy less the first's, under the hypothesis, -1 to 1.
    """
    above = np.asarray(gained, dtype=np.float64) - lost - rows * difference
    with np.errstate(divide="ignore", invalid="ignore"):
        found = above / deviation(gained, lost, rows, difference)
    return np.asarray(np.where(above == 0, 0.0, found))


def deviation(gained: Counts, lost: Counts, rows: int, difference: float) -> Float64[np.ndarray, "..."]:
    """The standard deviation of rows gained less rows lost where the difference is held; arguments as of `score`."""
    gained, lost = np.asarray(gained, dtype=np.float64), np.asarray(lost, dtype=np.float64)
    linear = (2 * rows - gained + lost) * difference - gained - lost
    constant = -lost * difference * (1 - difference)
    # The likeliest share of lost rows, from a quadratic equation.
    share_lost = (np.sqrt(np.maximum(linear**2 - 8 * rows * constant, 0)) - linear) / (4 * rows)
    return np.asarray(np.sqrt(np.maximum(rows * (2 * share_lost + difference * (1 - difference)), 0)))
