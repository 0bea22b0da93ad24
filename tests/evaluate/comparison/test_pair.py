"""Sides are brought to one order of rows and labels, or refused with what differs."""

from __future__ import annotations

import numpy as np
import pytest

from made_sides import classifier, compared, dialogues, texts, writer
from zogan.data.rows import TextRow
from zogan.errors import DataError, ZoganError
from zogan.evaluate.comparison.pair import pair

ROWS = texts(12)
CHOICES = ["bad", "bad", "good"] * 4


def test_rows_in_another_order_are_the_same_rows() -> None:
    a = classifier("A", ROWS, ["good"] * 12)
    straight = compared(a, classifier("B", ROWS, CHOICES), ROWS)
    turned = compared(a, classifier("B", ROWS[::-1], CHOICES[::-1]), ROWS)
    assert turned == straight
    found = pair(a, classifier("B", ROWS[::-1], CHOICES[::-1]))
    assert found.order.tolist() == list(range(11, -1, -1))


def test_rows_that_stand_twice_are_paired_in_order() -> None:
    twice = [*ROWS, ROWS[0]]
    a, b = classifier("A", twice, ["bad"] * 13), classifier("B", twice[::-1], ["bad"] * 13)
    assert sorted(pair(a, b).order.tolist()) == list(range(13))
    with pytest.raises(DataError, match="0 are in A alone, 1 in B alone, 12 in both"):
        pair(classifier("A", ROWS, ["bad"] * 12), b)


def test_labels_in_another_order_are_the_same_labels() -> None:
    a = classifier("A", ROWS, ["good"] * 12, sure=np.linspace(0.5, 0.9, 12))
    straight = compared(a, classifier("B", ROWS, CHOICES), ROWS)
    turned = compared(a, classifier("B", ROWS, CHOICES, labels=("good", "bad", "fine")), ROWS)
    assert turned == straight


def test_answers_keep_to_their_rows() -> None:
    rows = dialogues(4)
    a = writer("A", rows, 1.0, ["answer 0", "answer 1"])
    b = writer("B", rows[::-1], 1.0, ["answer 3", "answer 2", "answer 1"])
    found = pair(a, b)
    assert found.answered().tolist() == [1]
    assert found.measures()["exact_match"].a.tolist() == found.measures()["exact_match"].b.tolist() == [[1, 1]]


def test_other_rows_are_refused_with_how_many_each_has_alone() -> None:
    b = classifier("runs/b", texts(14, start=5), ["bad"] * 14)
    what = (
        "other test rows: 5 are in runs/a alone, 7 in runs/b alone, 7 in both. "
        "Compare two on the same rows: with the same data.test, or data.seed where the test is cut from train"
    )
    with pytest.raises(DataError, match=what):
        pair(classifier("runs/a", ROWS, ["bad"] * 12), b)


def test_a_row_with_another_label_is_another_row() -> None:
    changed = [TextRow(ROWS[0].input, "good", ROWS[0].place), *ROWS[1:]]
    with pytest.raises(DataError, match="1 are in A alone, 1 in B alone, 11 in both"):
        pair(classifier("A", ROWS, ["bad"] * 12), classifier("B", changed, ["bad"] * 12))


def test_other_labels_are_refused_with_their_names() -> None:
    a = classifier("A", ROWS, ["bad"] * 12, labels=("bad", "fine", "good", "so so"))
    with pytest.raises(ZoganError, match=r"other labels: A alone has 'so so'\. Compare two"):
        pair(a, classifier("B", ROWS, ["bad"] * 12))
    many = classifier("B", ROWS, ["bad"] * 12, labels=("bad", "fine", "good", *(f"l{n}" for n in range(9))))
    with pytest.raises(ZoganError, match=r"A alone has 'so so'; B alone has 'l0', .*'l4' and 4 more"):
        pair(a, many)


def test_other_tasks_are_refused() -> None:
    with pytest.raises(ZoganError, match=r"A is of classification, B of generation\. Compare two of the same task"):
        pair(classifier("A", ROWS, ["bad"] * 12), writer("B", dialogues(12), 1.0))
