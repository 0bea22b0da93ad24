"""The frontier, and the pick by one standard error."""

from __future__ import annotations

import pytest

from zogan.errors import ZoganError
from zogan.search.result import Trial, frontier, picked


def trial(
    number: int, score: float, seconds: float, trainable: int = 100, error: float = 0.05, loss: float = 0.5
) -> Trial:
    return Trial(number, {}, "measured", score, error, loss, 8, seconds, trainable)


def test_the_cheapest_within_one_standard_error_of_the_best() -> None:
    best, pick = picked([trial(0, 0.20, 100), trial(1, 0.24, 40), trial(2, 0.26, 10), trial(3, 0.23, 60)])
    assert (best.number, pick.number) == (0, 1)


def test_nothing_is_picked_that_validates_worse_than_what_is_configured() -> None:
    configured, cheap, alike = trial(0, 0.22, 100, loss=0.5), trial(1, 0.24, 10), trial(2, 0.22, 50, loss=0.6)
    better = trial(3, 0.20, 200)
    assert picked([configured, cheap, alike, better], configured)[1] == configured
    assert picked([configured, cheap, trial(2, 0.22, 50, loss=0.4), better], configured)[1].number == 2
    assert picked([configured, cheap, better])[1] == cheap


def test_what_is_configured_and_beyond_one_standard_error_leaves_the_best() -> None:
    configured, best = trial(0, 0.4, 10), trial(1, 0.2, 100)
    assert picked([configured, best], configured)[1] == best


def test_without_a_spread_it_is_the_best() -> None:
    best, pick = picked([trial(0, 0.20, 100, error=0.0), trial(1, 0.21, 1)])
    assert best == pick == trial(0, 0.20, 100, error=0.0)


def test_of_two_that_are_as_good_the_cheaper() -> None:
    assert picked([trial(0, 0.2, 10, 200), trial(1, 0.2, 10, 100)])[1].number == 1


def test_what_did_not_come_to_its_end_is_not_picked() -> None:
    stopped, failed = Trial(0, {}, "stopped", 0.0, 0.1), Trial(1, {}, "failed", why="no")
    assert picked([stopped, failed, trial(2, 0.3, 1)])[1].number == 2
    with pytest.raises(ZoganError, match="no trial came to its end"):
        picked([stopped, failed])


def test_the_frontier_holds_what_none_beats() -> None:
    trials = [trial(0, 0.2, 100), trial(1, 0.3, 10), trial(2, 0.3, 20), trial(3, 0.25, 200, 10), trial(4, 0.2, 100)]
    assert [one.number for one in frontier(trials)] == [1, 0, 3]
