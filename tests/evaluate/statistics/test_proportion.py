"""A share against a floor: the test, its interval, and what they promise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from zogan.errors import ConfigError, DataError
from zogan.evaluate.statistics import share_interval, share_test

counts = st.integers(1, 200).flatmap(lambda rows: st.tuples(st.integers(0, rows), st.just(rows)))


@given(counts, st.floats(0.02, 0.98), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_interval_lies_above_what_the_test_accepts(count: tuple[int, int], floor: float, level: float) -> None:
    right, rows = count
    found = share_interval(right, rows, level=level)
    assert found.low <= found.value <= found.high
    assert found.low < found.high
    accepted = share_test(right, rows, floor=floor, alternative="greater") < (1 - level) / 2
    if abs(found.low - floor) > 1e-9:
        assert accepted == (found.low > floor)
    rejected = share_test(right, rows, floor=floor, alternative="less") < (1 - level) / 2
    if abs(found.high - floor) > 1e-9:
        assert rejected == (found.high < floor)


@pytest.mark.parametrize("floor", [0.5, 0.9, 0.98])
@pytest.mark.parametrize("rows", [10, 40, 300])
def test_a_share_at_the_floor_is_accepted_no_more_often_than_promised(rows: int, floor: float) -> None:
    accepted = [
        right for right in range(rows + 1) if share_test(right, rows, floor=floor, alternative="greater") <= 0.025
    ]
    assert sum(float(stats.binom.pmf(right, rows, floor)) for right in accepted) <= 0.025


def test_what_is_no_count_is_refused() -> None:
    with pytest.raises(DataError, match="0 of 0 rows cannot be right"):
        share_interval(0, 0, level=0.95)
    with pytest.raises(DataError, match="4 of 3 rows cannot be right"):
        share_test(4, 3, floor=0.5, alternative="greater")
    with pytest.raises(ConfigError, match=r"level: 1\.5 is not between 0 and 1"):
        share_interval(1, 2, level=1.5)
