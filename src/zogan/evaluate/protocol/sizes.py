"""How many rows show a difference: normal theory for two models on the same rows.

All differences are improvements, so that more is better whichever way the figure goes. A claim is tested one-sided at
half of `alpha`, which is to ask whether the two-sided interval at `1 - alpha` lies beyond the margin.

Proportions: Connor, "Sample size for testing differences in proportions for the paired-sample design", Biometrics 43
(1987) 207, his formula for McNemar's test, with another difference than 0 to be tested against. Means: the paired
z test.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy import optimize, stats

MOST_ROWS = 10**9
"""More rows than this are no answer."""


@dataclass(frozen=True)
class Paired:
    """Two models on the same rows, each right or wrong on a row.

    Args:
        discordant: share of the rows on which one is right and the other wrong, 0 to 1.
    """

    discordant: float

    def spread(self, difference: float) -> float:
        """Standard deviation of a row's difference; no fewer rows can differ than the difference asks for."""
        return math.sqrt(max(max(self.discordant, abs(difference)) - difference**2, 0.0))


@dataclass(frozen=True)
class Means:
    """A figure of two models on each row.

    Args:
        deviation: standard deviation over rows of the difference, in the figure's unit.
    """

    deviation: float

    def spread(self, difference: float) -> float:
        """The same whatever the difference."""
        return self.deviation


@dataclass(frozen=True)
class Share:
    """One model, right or wrong on a row, against a fixed share.

    Args:
        floor: the share, 0 to 1.
    """

    floor: float

    def spread(self, difference: float) -> float:
        """Standard deviation of a row where the true share is the floor and the difference."""
        share = min(max(self.floor + difference, 0.0), 1.0)
        return math.sqrt(share * (1 - share))


Noise = Paired | Means | Share


def rows_needed(difference: float, margin: float, noise: Noise, *, alpha: float, power: float) -> int | None:
    """Rows that show a true difference to lie above a margin.

    Args:
        difference: that there truly is.
        margin: that it must be shown to exceed: above 0 for superiority by it, below 0 for non-inferiority.
        noise: how rows differ.
        alpha: error level, two-sided.
        power: chance to show it.

    Returns:
        Rows; None where the difference does not exceed the margin, or no number of rows that one can have is enough.
    """
    if difference <= margin:
        return None
    wanted = _reach(difference, margin, noise, alpha, power)
    rows = math.ceil((wanted / (difference - margin)) ** 2)
    return max(rows, 2) if rows <= MOST_ROWS else None


def smallest_difference(
    rows: int, margin: float, noise: Noise, *, alpha: float, power: float, most: float = math.inf
) -> float | None:
    """The smallest true difference that so many rows show to lie above a margin.

    Args:
        rows: at hand.
        margin: as in `rows_needed`, and so are the others.
        noise: how rows differ.
        alpha: error level, two-sided.
        power: chance to show it.
        most: the largest difference that there can be.

    Returns:
        The difference; None where even the largest would not be shown.
    """

    def short(difference: float) -> float:
        return _reach(difference, margin, noise, alpha, power) - (difference - margin) * math.sqrt(rows)

    if short(margin) <= 0:  # rows that do not differ at all
        return margin
    high = min(most, margin + 1.0)
    while high < most and short(high) > 0:
        high = min(most, 2 * high + 1)
    return None if short(high) > 0 else float(optimize.brentq(short, margin, high, xtol=1e-12))


def _reach(difference: float, margin: float, noise: Noise, alpha: float, power: float) -> float:
    """Difference less margin, times the square root of the rows that show it."""
    quantile: Callable[[float], float] = stats.norm.ppf
    return float(quantile(1 - alpha / 2) * noise.spread(margin) + quantile(power) * noise.spread(difference))
