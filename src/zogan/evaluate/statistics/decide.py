"""From an interval to a decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from zogan.errors import ConfigError
from zogan.evaluate.statistics.interval import Interval, share

Claim = Literal["superiority", "non_inferiority"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What an interval says of a claim.

    Args:
        outcome: accepted where the whole interval fulfils the claim, rejected where none of it does.
        p_value: one-sided, of the claim: how likely figures as good as these are where it is just false.
    """

    outcome: Literal["accepted", "rejected", "undecided"]
    p_value: float


def threshold(claim: Claim, margin: float) -> float:
    """The improvement that must be surpassed: the margin, or where no worse is enough, the margin below 0.

    Raises:
        ConfigError: a margin that is below 0 or not a number.
    """
    if not 0 <= margin < np.inf:
        raise ConfigError(f"{margin!r} is not a margin", where="margin", todo="Give 0 or more, in the metric's unit")
    return margin if claim == "superiority" else -margin


def decide(interval: Interval, *, claim: Claim, margin: float = 0.0, higher_is_better: bool, level: float) -> Decision:
    """Whether a difference is better by more than a margin, or worse by less than a margin.

    An interval at level 0.95 errs on one side in 2.5 % of cases, one at 0.9 in 5 %: that is how often a claim that is
    just false is accepted. Reading non-inferiority from an interval: Piaggio et al., "Reporting of noninferiority and
    equivalence randomized trials", JAMA 308 (2012). The p-value agrees with the decision at any level as far as the
    interval is normal: Altman and Bland, "How to obtain the P value from a confidence interval", BMJ 343 (2011), with
    the half of the interval that faces the threshold.

    An interval that is not finite, or that has no width, decides nothing: a bootstrap of rows that are all equal
    knows no chance.

    Args:
        interval: of after less before, in the metric's unit.
        claim: `superiority`: better by more than the margin; `non_inferiority`: worse by less than the margin.
        margin: 0 or more, in the metric's unit.
        higher_is_better: which way is good.
        level: the interval's confidence level, 0 to 1.

    Raises:
        ConfigError: a margin or level that is none.
    """
    beyond = threshold(claim, margin)
    errors = float(stats.norm.isf((1 - share(level, "level")) / 2))
    ends = (interval.low, interval.high) if higher_is_better else (-interval.high, -interval.low)
    value = interval.value if higher_is_better else -interval.value
    below, above = value - ends[0], ends[1] - value
    if not np.isfinite([below, above]).all() or ends[0] == ends[1]:
        return Decision("undecided", 1.0)
    facing = below if value > beyond else above
    p_value = float(stats.norm.sf((value - beyond) / facing * errors)) if facing > 0 else 1.0
    if below > 0 and ends[0] > beyond:
        return Decision("accepted", p_value)
    if above > 0 and ends[1] < beyond:
        return Decision("rejected", p_value)
    return Decision("undecided", p_value)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """P-values adjusted for how many there are: each at most alpha where its claim holds at alpha for all together.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979). It
    asks nothing of how the tests hang together.

    Args:
        p_values: by name, 0 to 1.

    Returns:
        The adjusted p-values, in the order given.
    """
    names = sorted(p_values, key=lambda name: p_values[name])
    raised = [min(1.0, p_values[name] * (len(names) - place)) for place, name in enumerate(names)]
    adjusted = dict(zip(names, np.maximum.accumulate(raised).tolist(), strict=True)) if names else {}
    return {name: adjusted[name] for name in p_values}
