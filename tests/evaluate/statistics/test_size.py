"""Plans are kept: the power that was planned is the power that simulated comparisons have."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from zogan.errors import ConfigError
from zogan.evaluate.statistics import (
    Claim,
    Design,
    Interval,
    Matched,
    Mean,
    RightOrWrong,
    decide,
    intervals,
    rows_needed,
    score_interval,
    smallest_improvement,
    smallest_margin,
)

SETS = 400
COMPARISONS: list[tuple[float, float, Claim, float]] = [
    (0.1, 0.05, "superiority", 0.0),
    (0.1, 0.0, "non_inferiority", 0.04),
    (0.04, 0.0, "non_inferiority", 0.03),
    (0.2, 0.01, "non_inferiority", 0.05),
]


@cache
def by_score(rows: int, gained: int, lost: int) -> Interval:
    return score_interval(Matched(rows, gained, lost), level=0.95)


def simulated(rows: int, discordant: float, improvement: float, seed: int) -> np.ndarray:
    """Each row gained, lost or neither: (rows, sets)."""
    shares = [(discordant + improvement) / 2, (discordant - improvement) / 2, 1 - discordant]
    return np.random.default_rng(seed).choice([1.0, -1.0, 0.0], p=shares, size=(rows, SETS))


def by_bootstrap(table: np.ndarray, resamples: int = 1000) -> list[Interval]:
    """Of a hundred sets at once."""
    found: list[Interval] = []
    for start in range(0, table.shape[1], 100):
        part = table[:, start : start + 100]
        found += intervals(
            lambda counts, part=part: counts @ part / len(part),  # type: ignore[misc]
            len(part),
            level=0.95,
            resamples=resamples,
            seed=start,
        )
    return found


def accepted(found: list[Interval], claim: Claim, margin: float, *, up: bool = True) -> float:
    outcomes = [decide(one, claim=claim, margin=margin, higher_is_better=up, level=0.95).outcome for one in found]
    return outcomes.count("accepted") / len(outcomes)


@pytest.mark.parametrize(("discordant", "improvement", "claim", "margin"), COMPARISONS)
def test_right_or_wrong_has_the_power_that_was_planned(
    discordant: float, improvement: float, claim: Claim, margin: float
) -> None:
    rows = rows_needed(
        RightOrWrong(discordant), improvement=improvement, claim=claim, margin=margin, level=0.95, power=0.8
    )
    assert rows is not None
    table = simulated(rows, discordant, improvement, seed=1)
    scores = [
        by_score(rows, gained, lost)
        for gained, lost in zip((table > 0).sum(axis=0).tolist(), (table < 0).sum(axis=0).tolist(), strict=True)
    ]
    assert accepted(scores, claim, margin) == pytest.approx(0.8, abs=0.05)
    # The bootstrap is a little less careful where few rows differ.
    assert 0.75 <= accepted(by_bootstrap(table), claim, margin) <= 0.88


@pytest.mark.parametrize(
    ("improvement", "claim", "margin"), [(0.1, "superiority", 0.0), (-0.02, "non_inferiority", 0.1)]
)
def test_a_mean_loss_has_the_power_that_was_planned(improvement: float, claim: Claim, margin: float) -> None:
    rows = rows_needed(Mean(0.5), improvement=improvement, claim=claim, margin=margin, level=0.95, power=0.8)
    assert rows is not None
    generator = np.random.default_rng(2)
    table = -improvement + 0.5 * (generator.gamma(4, 0.5, size=(rows, SETS)) - 2)  # of a loss: lower is better
    assert accepted(by_bootstrap(table), claim, margin, up=False) == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize(("discordant", "margin", "rows"), [(0.1, 0.04, 200), (0.04, 0.03, 400), (0.3, 0.1, 100)])
def test_at_the_margin_non_inferiority_is_seldom_accepted(discordant: float, margin: float, rows: int) -> None:
    table = simulated(rows, discordant, -margin, seed=3)
    scores = [
        by_score(rows, gained, lost)
        for gained, lost in zip((table > 0).sum(axis=0).tolist(), (table < 0).sum(axis=0).tolist(), strict=True)
    ]
    most = 0.05 + (0.05 * 0.95 / SETS) ** 0.5
    assert accepted(scores, "non_inferiority", margin) <= most
    assert accepted(by_bootstrap(table), "non_inferiority", margin) <= most


def test_the_power_of_a_mean_is_students() -> None:
    # Cohen, "Statistical power analysis for the behavioral sciences" (1988): 34 pairs for d = 0.5, 80 %, 5 %.
    assert rows_needed(Mean(2.0), improvement=1.0, claim="superiority", level=0.95, power=0.8) == 34


@pytest.mark.parametrize("design", [RightOrWrong(0.1), Mean(0.3)])
def test_rows_and_improvements_are_each_others_inverse(design: Design) -> None:
    least = smallest_improvement(design, 400, claim="superiority", level=0.95, power=0.8)
    assert least is not None
    rows = rows_needed(design, improvement=least, claim="superiority", level=0.95, power=0.8)
    assert rows is not None
    assert rows == pytest.approx(400, rel=0.03)
    margin = smallest_margin(design, 400, level=0.95, power=0.8)
    assert margin is not None
    rows = rows_needed(design, improvement=0.0, claim="non_inferiority", margin=margin, level=0.95, power=0.8)
    assert rows is not None
    assert rows == pytest.approx(400, rel=0.03)


@pytest.mark.parametrize("design", [RightOrWrong(0.05), RightOrWrong(0.3), Mean(1.0)])
def test_the_power_stays_from_there_on(design: Design) -> None:
    rows = rows_needed(design, improvement=0.04, claim="superiority", level=0.95, power=0.9)
    assert rows is not None
    powers = [
        design.power(rows + more, improvement=0.04, beyond=0.0, level=0.95) for more in (*range(21), rows // 2, rows)
    ]
    assert min(powers) >= 0.9
    assert design.power(rows - 1, improvement=0.04, beyond=0.0, level=0.95) < 0.9


def test_what_cannot_be_reached_is_none() -> None:
    assert smallest_improvement(RightOrWrong(0.01), 100, claim="superiority", level=0.95, power=0.8) is None
    assert rows_needed(Mean(1.0), improvement=1e-4, claim="superiority", level=0.95, power=0.8) is None
    assert smallest_margin(Mean(1.0), 1, level=0.95, power=0.8) is None


def test_what_is_not_true_needs_no_rows() -> None:
    with pytest.raises(ConfigError, match=r"improvement: an improvement of -0.02 is not above -0.02"):
        rows_needed(RightOrWrong(0.1), improvement=-0.02, claim="non_inferiority", margin=0.02, level=0.95, power=0.8)


def test_power_is_a_share() -> None:
    with pytest.raises(ConfigError, match="power: 80 is not between 0 and 1"):
        rows_needed(RightOrWrong(0.1), improvement=0.05, claim="superiority", level=0.95, power=80)
