"""What is known of a paired comparison before it is made, and how often it will show what is true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64
from scipy import stats

from zogan.errors import ConfigError
from zogan.evaluate.statistics.matched import deviation, score

_EXACT_ROWS = 20_000
"""Above, normal theory: it errs by less than a thousandth there."""
_SPREADS = 6
"""How far from its mean a count is followed, in standard deviations."""


@runtime_checkable
class Design(Protocol):
    """What is known of a paired comparison before it is made."""

    def power(self, rows: int, *, improvement: float, beyond: float, level: float) -> float:
        """How often the interval at `level` will lie above `beyond`, where the true improvement is `improvement`."""
        ...

    @property
    def largest(self) -> float:
        """The largest improvement there can be."""
        ...


@dataclass(frozen=True, slots=True)
class RightOrWrong:
    """Two classifiers, decided by `score_interval`.

    Args:
        discordant: share of rows that only one of them has right, above 0, at most 1.

    Raises:
        ConfigError: a share that is none.
    """

    discordant: float

    def __post_init__(self) -> None:
        if not 0 < self.discordant <= 1:
            todo = "Give the share of rows that one system alone has right, such as 0.1"
            raise ConfigError(f"{self.discordant!r} is not a share above 0", where="discordant", todo=todo)

    @property
    def largest(self) -> float:
        """All rows that differ are gained."""
        return self.discordant

    def power(self, rows: int, *, improvement: float, beyond: float, level: float) -> float:
        """Exact up to 20,000 rows: over all counts of rows gained and lost; above by normal theory.

        Normal theory: Liu et al., "Tests for equivalence or non-inferiority for paired binary data", Statistics in
        Medicine 21 (2002).

        Raises:
            ConfigError: a larger improvement than there are rows that differ.
        """
        if abs(improvement) > self.discordant:
            raise ConfigError(
                f"an improvement of {improvement!r} is more than the {self.discordant!r} of rows that differ",
                where="improvement",
                todo="Give a larger discordant share, or a smaller improvement",
            )
        gained, lost = (self.discordant + improvement) / 2, (self.discordant - improvement) / 2
        wanted = stats.norm.isf((1 - level) / 2)
        if rows > _EXACT_ROWS:
            held = deviation(rows * gained, rows * lost, rows, beyond)
            truly = np.sqrt(rows * (self.discordant - improvement**2))
            return float(stats.norm.sf((wanted * held - rows * (improvement - beyond)) / truly))
        ups = _likely(rows, gained)
        # Of each count of gained rows, the most lost ones with which the claim is accepted, -1 for none: by halving,
        # since the score falls with each lost row.
        most, least_not = np.full_like(ups, -1.0), rows - ups + 1
        while (least_not - most > 1).any():
            middle = np.floor((most + least_not) / 2)
            accepted = (score(ups, middle, rows, beyond) > wanted) & (middle > most)
            most, least_not = (
                np.where(accepted, middle, most),
                np.where(accepted, least_not, np.maximum(middle, most + 1)),
            )
        rest = lost / (1 - gained) if gained < 1 else 0.0
        likely = stats.binom.pmf(ups, rows, gained) * stats.binom.cdf(most, rows - ups, min(rest, 1.0))
        return float(likely.sum())


@dataclass(frozen=True, slots=True)
class Share:
    """One classifier against a fixed share of right rows, decided by `share_test`.

    Args:
        floor: the share to be surpassed, at least 0, below 1.

    Raises:
        ConfigError: a floor that no share can surpass.
    """

    floor: float

    def __post_init__(self) -> None:
        if not 0 <= self.floor < 1:
            raise ConfigError(f"{self.floor!r} is not at least 0 and below 1", where="floor", todo="Give a share")

    @property
    def largest(self) -> float:
        """All rows are right."""
        return 1 - self.floor

    def power(self, rows: int, *, improvement: float, beyond: float, level: float) -> float:
        """Exact: the binomial distribution's tail from the fewest right rows that are shown to lie above the floor.

        Both `improvement` and `beyond` count from the floor.
        """
        least = self.floor + beyond
        wanted = stats.binom.isf((1 - level) / 2, rows, least) + 1 if least > 0 else 1.0
        return float(stats.binom.sf(wanted - 1, rows, min(self.floor + improvement, 1.0)))


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of a figure of each row, such as a loss.

    Args:
        deviation: standard deviation of the rows' paired differences, above 0, in the figure's unit.

    Raises:
        ConfigError: a deviation that is none.
    """

    deviation: float

    def __post_init__(self) -> None:
        if not 0 < self.deviation < np.inf:
            raise ConfigError(f"{self.deviation!r} is not above 0", where="deviation", todo="Take it from a first run")

    @property
    def largest(self) -> float:
        """No bound."""
        return np.inf

    def power(self, rows: int, *, improvement: float, beyond: float, level: float) -> float:
        """Exact for normal differences: Student's t, noncentral."""
        if rows < 2:
            return 0.0
        wanted = stats.t.isf((1 - level) / 2, rows - 1)
        above = (improvement - beyond) * np.sqrt(rows) / self.deviation
        return float(stats.nct.sf(wanted, rows - 1, above))


def _likely(rows: int, part: float) -> Float64[np.ndarray, " counts"]:
    """Counts of rows that are not far out for a share of them."""
    reach = _SPREADS * np.sqrt(rows * part * (1 - part)) + _SPREADS
    return np.arange(max(0, int(rows * part - reach)), min(rows, int(np.ceil(rows * part + reach))) + 1.0)
