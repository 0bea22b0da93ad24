"""One system that is right or wrong on each row, held against a fixed share."""

from __future__ import annotations

from typing import Literal

from scipy import stats

from zogan.errors import DataError
from zogan.evaluate.statistics.interval import Interval, share


def share_test(right: int, rows: int, *, floor: float, alternative: Literal["greater", "less"]) -> float:
    """The p-value of the exact binomial test that the true share of right rows is the floor.

    It errs no more often than it says, at any number of rows and any floor.

    Args:
        right: rows that are right.
        rows: number of rows.
        floor: the share under the hypothesis, 0 to 1.
        alternative: `greater`: the true share is above it.

    Raises:
        DataError: no rows, or more that are right than there are.
    """
    _checked(right, rows)
    return float(stats.binomtest(right, rows, floor, alternative=alternative).pvalue)


def share_interval(right: int, rows: int, *, level: float) -> Interval:
    """The interval of the true share of right rows that belongs to `share_test`.

    Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial", Biometrika
    26 (1934), by scipy. It has a width where all rows are right, too.

    Args:
        right: rows that are right.
        rows: number of rows.
        level: confidence level, 0 to 1.

    Raises:
        ConfigError: a level that is none.
        DataError: no rows, or more that are right than there are.
    """
    share(level, "level")
    _checked(right, rows)
    ends = stats.binomtest(right, rows).proportion_ci(level, method="exact")
    return Interval(right / rows, float(ends.low), float(ends.high), "exact")


def _checked(right: int, rows: int) -> None:
    if not 0 <= right <= rows or not rows:
        raise DataError(f"{right} of {rows} rows cannot be right", todo="Give at least one row")
