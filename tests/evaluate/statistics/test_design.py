"""Power before a comparison: exact, by hand and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from zogan.errors import ConfigError
from zogan.evaluate.statistics import Mean, RightOrWrong, Share, share_test


@pytest.mark.parametrize(("level", "most"), [(0.95, 0.031), (0.9, 0.061)])
def test_what_is_just_false_is_accepted_no_more_often_than_promised(level: float, most: float) -> None:
    """Exactly, over all outcomes: few rows that differ, many, and all of them lost."""
    for rows in (20, 30, 50, 100, 200, 400):
        for discordant in (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.4):
            for margin in (0.0, 0.01, 0.02, 0.03, 0.05, 0.1):
                if margin <= discordant:
                    size = RightOrWrong(discordant).power(rows, improvement=-margin, beyond=-margin, level=level)
                    assert size <= most, (rows, discordant, margin)


def test_exact_power_by_hand() -> None:
    # Of three rows that all differ, each gained with probability 0.9, all must be gained.
    found = RightOrWrong(1.0).power(3, improvement=0.8, beyond=0.0, level=0.85)
    assert found == pytest.approx(0.9**3)


def test_normal_theory_takes_over_without_a_step() -> None:
    for improvement, beyond in ((0.005, 0.0), (0.0, -0.006), (0.02, 0.015)):
        below, above = (
            RightOrWrong(0.1).power(rows, improvement=improvement, beyond=beyond, level=0.95)
            for rows in (20_000, 20_001)
        )
        assert above == pytest.approx(below, abs=1e-3)


def test_a_mean_of_normal_differences_is_decided_as_often_as_student_says() -> None:
    generator = np.random.default_rng(4)
    sample = generator.normal(0.6, 1, size=(20_000, 15))
    realised = np.mean(stats.ttest_1samp(sample, 0, axis=1, alternative="greater").pvalue < 0.025)
    planned = Mean(1.0).power(15, improvement=0.6, beyond=0.0, level=0.95)
    assert realised == pytest.approx(planned, abs=0.01)


def test_designs_say_what_they_cannot_be() -> None:
    with pytest.raises(ConfigError, match="discordant: 0 is not a share above 0"):
        RightOrWrong(0)
    with pytest.raises(ConfigError, match="deviation: 0 is not above 0"):
        Mean(0)
    with pytest.raises(ConfigError, match=r"is more than the 0.1 of rows that differ"):
        RightOrWrong(0.1).power(100, improvement=0.2, beyond=0.0, level=0.95)
    with pytest.raises(ConfigError, match=r"floor: 1\.0 is not at least 0 and below 1"):
        Share(1.0)


@pytest.mark.parametrize(("floor", "improvement", "rows"), [(0.8, 0.06, 200), (0.5, 0.1, 60), (0.95, 0.05, 120)])
def test_a_share_is_shown_as_often_as_was_planned(floor: float, improvement: float, rows: int) -> None:
    right = np.random.default_rng(0).binomial(rows, floor + improvement, size=4000).tolist()
    tried = {count: share_test(count, rows, floor=floor, alternative="greater") <= 0.025 for count in set(right)}
    planned = Share(floor).power(rows, improvement=improvement, beyond=0.0, level=0.95)
    assert np.mean([tried[count] for count in right]) == pytest.approx(planned, abs=0.02)
