"""The rows that differ, in order, and as files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from made_sides import classifier, compared, dialogues, texts, writer
from zogan.errors import ZoganError
from zogan.evaluate.comparison.differing import write
from zogan.evaluate.comparison.result import ClassDifference, TextDifference

ROWS = texts(6)  # bad fine good bad fine good


def test_labels_that_one_side_alone_has_right_come_first_then_the_surest() -> None:
    a = classifier("A", ROWS, ["bad", "fine", "good", "bad", "bad", "bad"])
    b = classifier("B", ROWS, ["fine", "fine", "good", "good", "good", "good"], sure=[0.9, 0.8, 0.8, 0.6, 0.99, 0.7])
    found = compared(a, b, ROWS, slices={"late": [3, 4, 5], "last": [5]}).differences
    assert all(isinstance(one, ClassDifference) for one in found)
    assert [(one.place, one.better) for one in found] == [
        ("t.jsonl:1", "a"),
        ("t.jsonl:4", "a"),
        ("t.jsonl:6", "b"),
        ("t.jsonl:5", None),
    ]
    first, last = found[0], found[2]
    assert isinstance(first, ClassDifference)
    assert (first.text, first.truth, first.a, first.b) == ("text 0", "bad", "bad", "fine")
    assert (first.probability_a, first.probability_b) == pytest.approx((0.8, 0.05))
    assert last.slices == ("late", "last")


def test_answered_rows_come_first_then_those_whose_loss_moved_most() -> None:
    rows = dialogues(5)
    a = writer("A", rows, 1.0, ["one", "two"])
    b = writer("B", rows, np.array([1.0, 1.5, 0.1, 1.0, 3.0]), ["other", "two"])
    found = compared(a, b, rows).differences
    assert [(one.place, one.better) for one in found] == [
        ("t.jsonl:2", "a"),
        ("t.jsonl:1", None),
        ("t.jsonl:5", "a"),
        ("t.jsonl:3", "b"),
    ]
    second, third = found[1], found[2]
    assert isinstance(second, TextDifference)
    assert (second.prompt, second.reference, second.a, second.b) == ("p 0", "answer 0", "one", "other")
    assert (third.a, third.b) == (None, None)


def test_all_of_them_are_written(tmp_path: Path) -> None:
    found = compared(classifier("A", ROWS, ["bad"] * 6), classifier("B", ROWS, ["good"] * 6), ROWS, slices={"x": [0]})
    write(found, tmp_path / "rows.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert lines == [one.model_dump(mode="json") for one in found.differences]
    assert len(lines) == 6
    write(found, tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(newline="") as stream:
        table = list(csv.DictReader(stream))
    assert [row["key"] for row in table] == [line["key"] for line in lines]
    assert {row["slices"] for row in table} == {"x", ""}
    assert list(table[0]) == list(lines[0])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "rows.jsonl"]


def test_where_no_row_differs_the_columns_are_named(tmp_path: Path) -> None:
    one = writer("A", dialogues(2), 1.0)
    write(compared(one, one), tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_text() == ",".join(TextDifference.model_fields) + "\n"
    with pytest.raises(ZoganError, match=r"rows\.txt: ends with none of \.csv, \.jsonl"):
        write(compared(one, one), tmp_path / "rows.txt")
