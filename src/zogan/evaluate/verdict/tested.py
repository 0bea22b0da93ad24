"""A figure against a threshold.

Each kind of test has the one-sided p-values that the figure is better than the threshold (`holds`) and that it is worse
(`fails`), and says how many rows an interval at a level needs to lie clear of the threshold, or why no number does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy import stats

from zogan.evaluate import statistics
from zogan.evaluate.evaluation import Estimate, Matched, Variances
from zogan.evaluate.statistics import (
    Claim,
    Design,
    Interval,
    Mean,
    RightOrWrong,
    Share,
    decide,
    rows_needed,
    score_test,
    share_test,
)
from zogan.evaluate.verdict.verdict import Why

POWER = 0.8
"""How often the rows that are asked for would decide, if what was measured is the truth."""

_MOST_ROWS = 10_000_000


@dataclass(frozen=True)
class MatchedTest:
    """Two models that are right or wrong on the same rows, by the score test.

    Args:
        matched: after against its rival.
        beyond: the difference to be surpassed; above is better.
    """

    matched: Matched
    beyond: float

    @property
    def holds(self) -> float:
        """P-value that the figure is better."""
        return score_test(self._counts, shift=-self.beyond, alternative="greater")

    @property
    def fails(self) -> float:
        """P-value that it is worse."""
        return score_test(self._counts, shift=-self.beyond, alternative="less")

    def needed(self, level: float) -> int | Why:
        """One row more than were seen is taken to differ, where none was."""
        rows = self.matched.rows
        discordant = max(self.matched.gained + self.matched.lost, 1) / rows
        return _either_way(RightOrWrong(discordant), self._counts.difference, self.beyond, level)

    @property
    def _counts(self) -> statistics.Matched:
        return statistics.Matched(self.matched.rows, self.matched.gained, self.matched.lost)


@dataclass(frozen=True)
class ShareTest:
    """A share of right rows against a floor, by the exact binomial test.

    Args:
        right: rows that are right.
        rows: number of rows.
        floor: to be surpassed.
    """

    right: int
    rows: int
    floor: float

    @property
    def holds(self) -> float:
        """No share lies below 0."""
        return share_test(self.right, self.rows, floor=self.floor, alternative="greater") if self.floor > 0 else 0.0

    @property
    def fails(self) -> float:
        """P-value that it is worse."""
        return share_test(self.right, self.rows, floor=self.floor, alternative="less") if self.floor > 0 else 1.0

    def needed(self, level: float) -> int | Why:
        """Rows, or why none."""
        lead = self.right / self.rows - self.floor
        floor = self.floor if lead > 0 else 1 - self.floor
        return _needed(Share(floor), abs(lead), 0.0, level) if lead else "on_threshold"


@dataclass(frozen=True)
class IntervalTest:
    """A figure with a bootstrap interval, or of several seeds with Student's.

    Args:
        estimate: the figure; its rows are as they come.
        beyond: to be surpassed.
        sign: 1 where above is better, -1 where below is.
        level: of the estimate's interval.
    """

    estimate: Estimate
    beyond: float
    sign: int
    level: float

    @property
    def holds(self) -> float:
        """P-value that the figure is better."""
        return self._p_value(self.sign)

    @property
    def fails(self) -> float:
        """P-value that it is worse."""
        return self._p_value(-self.sign)

    def needed(self, level: float) -> int | Why:
        """A mean's rows by its deviation, which the interval's width gives."""
        found, variances = self.estimate, self.estimate.variances
        lead = abs(found.value - self.beyond)
        if found.low == found.high:
            return "no_chance"
        if not lead:
            return "on_threshold"
        if variances is not None:
            return _of_seeds(variances, lead, level)
        width = found.high - found.low
        deviation = width / (2 * _quantile(self.level)) * math.sqrt(found.rows)
        return _needed(Mean(deviation), lead, 0.0, level)

    def _p_value(self, sign: int) -> float:
        """That the figure lies on this side of the threshold."""
        found, variances = self.estimate, self.estimate.variances
        low, high = sorted((sign * (found.low - self.beyond), sign * (found.high - self.beyond)))
        value = sign * (found.value - self.beyond)
        if variances is not None and variances.freedom is not None:
            error = math.sqrt(_variance(variances, found.rows))
            return float(stats.t.sf(value / error, variances.freedom)) if error else 1.0
        shifted = Interval(value, low, high, found.method)
        return decide(shifted, claim="superiority", higher_is_better=True, level=self.level).p_value


Tested = MatchedTest | ShareTest | IntervalTest


def _variance(variances: Variances, rows: int) -> float:
    """Of a mean over seeds and rows."""
    return variances.seeds / variances.number + (variances.rows + variances.rest / variances.number) / rows


def _either_way(design: Design, improvement: float, beyond: float, level: float) -> int | Why:
    """Rows that accept, or that reject where what was measured lies below."""
    if improvement == beyond:
        return "on_threshold"
    side = 1 if improvement > beyond else -1
    return _needed(design, side * improvement, side * beyond, level)


def _needed(design: Design, improvement: float, beyond: float, level: float) -> int | Why:
    claim: Claim = "superiority" if beyond >= 0 else "non_inferiority"
    rows = rows_needed(design, improvement=improvement, claim=claim, margin=abs(beyond), level=level, power=POWER)
    return "out_of_reach" if rows is None else rows


def _of_seeds(variances: Variances, lead: float, level: float) -> int | Why:
    """More rows leave the variance between seeds where it is."""
    quantile: Callable[[float], float] = stats.norm.isf
    if variances.freedom is not None:
        freedom = variances.freedom
        quantile = lambda tail: float(stats.t.isf(tail, freedom))  # noqa: E731
    reach = quantile((1 - level) / 2) + quantile(1 - POWER)
    left = (lead / reach) ** 2 - variances.seeds / variances.number
    if left <= 0:
        return "seeds"
    rows = math.ceil((variances.rows + variances.rest / variances.number) / left)
    return rows if rows <= _MOST_ROWS else "out_of_reach"


def _quantile(level: float) -> float:
    return float(stats.norm.isf((1 - level) / 2))
