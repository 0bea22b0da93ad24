"""An explanation in words."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from made_explanation import made_explanation
from zogan.cli.explained import explained
from zogan.evaluate.explanation.result import Explanation


def text_of(found: Explanation) -> str:
    stream = StringIO()
    screen = Console(file=stream, width=160)
    for one in explained(found):
        screen.print(one, soft_wrap=True)
    return stream.getvalue()


def test_all_of_it() -> None:
    out = text_of(made_explanation())
    assert "Accuracy on 400 validation rows, one layer's changes off at a time" in out
    assert "does good" in out
    assert "smallest part: layer 2, outside: 40 weights changed" in out
    assert "left out: layer 1" in out
    assert "confirmed on 1,000 test rows: the whole patch is accepted, the part accepted" in out
    assert "row 436 (test.jsonl:436): <b>Love</b> the day" in out
    assert "  before: neutral; log-probability of 'positive' −0.846, of padding −1.927; attributions miss 0.0037" in out
    assert "like train.jsonl:7 (0.82, positive): Thanks" in out


def test_what_was_not_looked_at_says_why() -> None:
    found = made_explanation().model_copy(
        update={"worth": None, "smallest": None, "rows": (), "skipped": {"worth": "no weight changes"}}
    )
    out = text_of(found)
    assert "not looked at: worth: no weight changes" in out
    assert "attention.self.query" in out  # the map in numbers stands in for the layers' worth


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rule": "no_worse", "whole": "undecided"}, "the whole patch is undecided on 400 validation rows"),
        ({"steps": (), "confirmation": None}, "the whole patch; no layer can be left out"),
        ({"parts": ()}, "smallest part: the head alone"),
    ],
)
def test_the_smallest_part_in_words(changes: dict[str, object], told: str) -> None:
    found = made_explanation()
    assert found.smallest is not None
    assert told in text_of(found.model_copy(update={"smallest": found.smallest.model_copy(update=changes)}))


def test_a_part_that_is_not_confirmed_is_said_so() -> None:
    found = made_explanation()
    assert found.smallest is not None
    assert found.smallest.confirmation is not None
    confirmation = found.smallest.confirmation.model_copy(update={"kept": False, "part": "undecided"})
    smallest = found.smallest.model_copy(update={"confirmation": confirmation})
    assert "NOT confirmed on 1,000 test rows" in text_of(found.model_copy(update={"smallest": smallest}))
