"""Tests and intervals of right and wrong rows: published examples, identities, exact sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from zogan.errors import ConfigError, DataError
from zogan.evaluate.statistics import Matched, match, mcnemar, score_interval, score_test
from zogan.evaluate.statistics.matched import Alternative


@st.composite
def tables(draw: st.DrawFn) -> Matched:
    rows = draw(st.integers(1, 300))
    gained = draw(st.integers(0, rows))
    return Matched(rows, gained, draw(st.integers(0, rows - gained)))


def test_rows_are_counted() -> None:
    first, second = np.array([True, True, False, False, False]), np.array([True, False, True, True, False])
    assert match(first, second) == Matched(rows=5, gained=2, lost=1)
    assert match(first, second).difference == pytest.approx(second.mean() - first.mean())


def test_no_rows_are_refused() -> None:
    with pytest.raises(DataError, match="no rows to compare"):
        match(np.zeros(0, dtype=bool), np.zeros(0, dtype=bool))


def test_mcnemar_is_binomial() -> None:
    # 1 of 8: twice (1 + 8) / 256.
    assert mcnemar(Matched(21, 1, 7)) == pytest.approx(18 / 256)
    assert mcnemar(Matched(21, 1, 7), alternative="less") == pytest.approx(9 / 256)
    assert mcnemar(Matched(21, 1, 7), alternative="greater") == pytest.approx(255 / 256)
    assert mcnemar(Matched(21, 0, 0)) == 1.0


def test_without_a_margin_the_score_test_is_mcnemars_chi_squared() -> None:
    peer = stats.chi2.sf((34 - 19) ** 2 / (34 + 19), 1)
    assert score_test(Matched(200, 34, 19)) == pytest.approx(peer)


@pytest.mark.parametrize(
    ("matched", "low", "high"),
    [
        # Fagerland, Lydersen and Laake, "Recommended tests and confidence intervals for paired binomial proportions",
        # Statistics in Medicine 33 (2014): the difference of their example, seen from the other side.
        (Matched(21, 1, 7), -0.517, -0.026),
    ],
)
def test_the_interval_is_as_published(matched: Matched, low: float, high: float) -> None:
    found = score_interval(matched, level=0.95)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-4)
    assert found.method == "score"


@given(tables())
def test_the_interval_holds_what_the_test_does_not_reject(matched: Matched) -> None:
    found = score_interval(matched, level=0.9)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    if found.low > -1:
        assert score_test(matched, shift=-found.low, alternative="greater") == pytest.approx(0.05, abs=1e-6)
    if found.high < 1:
        assert score_test(matched, shift=-found.high, alternative="less") == pytest.approx(0.05, abs=1e-6)


@given(tables())
def test_the_other_way_round_is_the_mirror(matched: Matched) -> None:
    there = score_interval(matched, level=0.95)
    back = score_interval(Matched(matched.rows, matched.lost, matched.gained), level=0.95)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=1e-9)


def test_systems_that_agree_on_every_row_may_differ_on_others() -> None:
    few, many = (score_interval(Matched(rows, 0, 0), level=0.95) for rows in (20, 2000))
    assert few.low < -0.1
    assert few.high > 0.1
    assert -0.002 < many.low < 0 < many.high < 0.002


@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
def test_no_discordant_row_says_nothing_without_a_margin(alternative: Alternative) -> None:
    assert score_test(Matched(30, 0, 0), alternative=alternative) == pytest.approx(
        1.0 if alternative == "two-sided" else 0.5
    )


def test_a_level_is_a_share() -> None:
    with pytest.raises(ConfigError, match="95 is not between 0 and 1"):
        score_interval(Matched(10, 1, 1), level=95)
