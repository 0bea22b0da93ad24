"""Who goes on at a rung."""

from __future__ import annotations

import pytest

from zogan.search.halving import epochs_at_rung, few, goes_on


def test_the_first_have_nothing_to_be_held_against() -> None:
    assert goes_on(0.9, 0.0, [])
    assert goes_on(0.9, 0.0, [0.1])
    assert not goes_on(0.9, 0.0, [0.1, 0.2])


@pytest.mark.parametrize(("score", "on"), [(0.1, True), (0.25, True), (0.35, False)])
def test_the_best_third_goes_on(score: float, on: bool) -> None:
    assert goes_on(score, 0.0, [0.2, 0.3, 0.4, 0.5, 0.6]) is on


def test_what_may_be_as_good_goes_on() -> None:
    others = [0.2, 0.3, 0.4, 0.5, 0.6]
    assert not goes_on(0.35, 0.04, others)
    assert goes_on(0.35, 0.06, others)


def test_rungs() -> None:
    assert few(900) == 100
    assert [epochs_at_rung(epochs) for epochs in (1, 2, 3, 8, 12)] == [None, 1, 1, 3, 4]
