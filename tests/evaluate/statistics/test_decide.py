"""Decisions follow the interval; p-values follow the decisions; Holm's are those by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from zogan.errors import ConfigError
from zogan.evaluate.statistics import Interval, decide, holm

ENDS = st.floats(-1, 1)


def interval(value: float, low: float, high: float) -> Interval:
    return Interval(value, low, high, "bca")


@pytest.mark.parametrize(
    ("claim", "margin", "ends", "outcome"),
    [
        ("superiority", 0.0, (0.01, 0.05), "accepted"),
        ("superiority", 0.0, (-0.01, 0.05), "undecided"),
        ("superiority", 0.0, (-0.05, -0.01), "rejected"),
        ("superiority", 0.02, (0.01, 0.05), "undecided"),
        ("superiority", 0.06, (0.01, 0.05), "rejected"),
        ("non_inferiority", 0.02, (-0.01, 0.05), "accepted"),
        ("non_inferiority", 0.02, (-0.03, -0.01), "undecided"),
        ("non_inferiority", 0.02, (-0.05, -0.03), "rejected"),
        ("non_inferiority", 0.0, (-0.01, 0.05), "undecided"),
    ],
)
def test_outcomes(claim: Any, margin: float, ends: tuple[float, float], outcome: str) -> None:
    low, high = ends
    middle = (low + high) / 2
    up = decide(interval(middle, low, high), claim=claim, margin=margin, higher_is_better=True, level=0.95)
    down = decide(interval(-middle, -high, -low), claim=claim, margin=margin, higher_is_better=False, level=0.95)
    assert up.outcome == outcome
    assert up == down


@given(ENDS, ENDS, ENDS, st.floats(0, 0.5), st.sampled_from(["superiority", "non_inferiority"]), st.booleans())
def test_the_p_value_agrees_with_the_decision(
    a: float, b: float, c: float, margin: float, claim: Any, up: bool
) -> None:
    low, value, high = sorted([a, b, c])
    assume(value - low > 1e-3 and high - value > 1e-3)
    beyond = margin if claim == "superiority" else -margin
    assume(min(abs(end - beyond * (1 if up else -1)) for end in (low, high)) > 1e-6)
    found = decide(interval(value, low, high), claim=claim, margin=margin, higher_is_better=up, level=0.9)
    assert (found.p_value < 0.05) == (found.outcome == "accepted")
    assert (found.p_value > 0.95) == (found.outcome == "rejected")


def test_the_p_value_is_that_of_the_normal_distribution() -> None:
    found = decide(interval(2.0, 2 - 1.959964, 2 + 1.959964), claim="superiority", higher_is_better=True, level=0.95)
    assert found.p_value == pytest.approx(0.0227501, abs=1e-6)  # two standard errors


@pytest.mark.parametrize(
    "nothing",
    [Interval(0.5, 0.5, 0.5, "none"), Interval(0.5, 0.5, 0.5, "percentile"), Interval(0.5, float("nan"), 0.7, "bca")],
)
def test_an_interval_that_knows_no_chance_decides_nothing(nothing: Interval) -> None:
    for up in (True, False):
        found = decide(nothing, claim="non_inferiority", margin=0.1, higher_is_better=up, level=0.95)
        assert (found.outcome, found.p_value) == ("undecided", 1.0)


def test_an_end_at_the_value_decides_nothing_on_its_side() -> None:
    found = decide(interval(0.5, 0.5, 0.9), claim="superiority", higher_is_better=True, level=0.95)
    assert (found.outcome, found.p_value) == ("undecided", 1.0)


@pytest.mark.parametrize("margin", [-0.1, float("nan"), float("inf")])
def test_a_margin_is_not_below_0(margin: float) -> None:
    with pytest.raises(ConfigError, match=r"margin: .* is not a margin"):
        decide(interval(0, -1, 1), claim="superiority", margin=margin, higher_is_better=True, level=0.95)


def test_a_level_is_a_share() -> None:
    with pytest.raises(ConfigError, match=r"level: 1.0 is not between 0 and 1"):
        decide(interval(0, -1, 1), claim="superiority", higher_is_better=True, level=1.0)


def test_holm_by_hand() -> None:
    found = holm({"accuracy": 0.03, "loss": 0.01, "slice": 0.04, "other": 0.5})
    assert found == pytest.approx({"accuracy": 0.09, "loss": 0.04, "slice": 0.09, "other": 0.5})
    assert list(found) == ["accuracy", "loss", "slice", "other"]
    assert holm({}) == {}


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_raises_and_keeps_the_order(p_values: list[float]) -> None:
    given_values = {str(place): p_value for place, p_value in enumerate(p_values)}
    found = holm(given_values)
    for name, p_value in given_values.items():
        assert p_value <= found[name] <= 1
        assert all(found[name] <= found[other] for other in given_values if given_values[other] > p_value)
    if p_values:
        assert found[min(given_values, key=lambda name: given_values[name])] == min(1, min(p_values) * len(p_values))
