"""Of the depths within the budget the one with the most worth, and what is said where there is none."""

from __future__ import annotations

import pytest

from zogan.errors import ConfigError
from zogan.select.budget import Option, affordable, best, shown, weighed

OPTIONS = [Option(depth, depth / 10, depth * 10**9) for depth in range(1, 6)]


@pytest.mark.parametrize(
    ("time", "memory", "depths"),
    [
        (None, None, [1, 2, 3, 4, 5]),
        (0.3, None, [1, 2, 3]),
        (None, 2 * 10**9, [1, 2]),
        (0.4, 3 * 10**9, [1, 2, 3]),
        (0.1, 10**9, [1]),
    ],
)
def test_both_bounds_hold(time: float | None, memory: int | None, depths: list[int]) -> None:
    assert [option.depth for option in affordable(OPTIONS, time=time, memory=memory)] == depths


def test_where_nothing_is_affordable_it_says_what_would_be() -> None:
    with pytest.raises(ConfigError, match=r"^budget\.time: even one layer .* take 0\.10 .* --set budget\.time=0\.11"):
        affordable(OPTIONS, time=0.05, memory=None)
    with pytest.raises(
        ConfigError, match=r"^budget\.memory: even one layer take about 1\.0 GB\. --set budget\.memory="
    ):
        affordable(OPTIONS, time=None, memory=10)


def test_worth_adds_up_from_the_top() -> None:
    found = weighed(OPTIONS, {0: 5.0, 1: 0.0, 2: 3.0, 4: 2.0})
    assert [option.worth for option in found] == [0.5, 0.5, 0.8, 0.8, 1.0]
    assert [option.time for option in found] == [option.time for option in OPTIONS]
    assert all(option.worth is None for option in weighed(OPTIONS, {0: 0.0}))


def test_the_most_worth_is_chosen_and_nothing_is_paid_for_next_to_none() -> None:
    assert best(weighed(OPTIONS, {0: 5.0, 4: 2.0})).depth == 5
    assert best(weighed(OPTIONS, {0: 5.0, 1: 3.0, 4: 0.01})).depth == 2  # the others are within the tolerance
    assert best(weighed(OPTIONS, {0: 1.0})).depth == 1
    assert best(OPTIONS).depth == 5  # nothing is known of worth


def test_the_frontier_is_told_with_what_was_chosen() -> None:
    many = weighed([Option(depth, depth / 40, depth) for depth in range(1, 31)], dict.fromkeys(range(30), 1.0))
    line = shown(many, many[16])
    assert "17: 57 % of the worth at 0.42 of full fine-tuning's operations (chosen)" in line
    assert "30: 100 % of the worth at 0.75" in line
    assert line.count(";") <= 8
    assert shown(OPTIONS[:1], OPTIONS[0]) == (
        "layers that may change: 1: 0.10 of full fine-tuning's operations (chosen)"
    )


def test_what_did_not_decide_is_not_kept() -> None:
    option = Option(3, 0.123456, 10**9, 0.98765)
    assert option.as_json(timed=True) == {"depth": 3, "worth": 0.9877, "time": 0.1235}
    assert option.as_json(timed=False) == {"depth": 3, "worth": 0.9877}
