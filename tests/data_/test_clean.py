"""Cleaning: what goes, what stays, and that each row that goes is told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zogan.data.clean import clean
from zogan.data.rows import DialogueRow, Message, Place, Row, TextRow, dialogue


def rows_of(file: str, *pairs: tuple[str, str]) -> list[Row]:
    return [TextRow(text, label, Place(file, line)) for line, (text, label) in enumerate(pairs, 1)]


def test_blank_rows_go() -> None:
    rows = rows_of("t", (" \n", "a"), ("x", " "), ("y", "a"))
    kept, dropped, noted = clean({"train": rows})
    assert kept == {"train": (rows[2],)}
    assert [(one.name, one.count, one.action) for one in dropped] == [("empty", 2, "dropped")]
    assert noted == []


def test_blank_turns_go() -> None:
    blank = DialogueRow((Message("system", ""), Message("user", "u"), Message("assistant", "a")), Place("t", 2))
    rows = [dialogue("p", "r", Place("t", 1)), blank]
    assert clean({"train": rows})[0] == {"train": (rows[0],)}


def test_the_first_of_equals_stays() -> None:
    rows = rows_of("t", ("Hello there", "a"), ("hello  THERE", "a"), ("hello", "a"))
    kept, (found,), _ = clean({"train": rows})
    assert kept == {"train": (rows[0], rows[2])}
    assert (found.name, found.count) == ("duplicate", 1)
    assert found.examples[0].place == "t:2"
    assert found.examples[0].text.endswith("(also t:1)")


def test_the_same_text_under_two_labels_stays_and_is_told() -> None:
    rows = rows_of("t", ("x", "a"), ("X", "b"), ("y", "a"))
    kept, dropped, (found,) = clean({"train": rows})
    assert (kept["train"], dropped) == (tuple(rows), [])
    assert (found.name, found.severity, found.count) == ("two_labels", "warning", 2)


def test_several_answers_are_usual() -> None:
    rows = [dialogue("p", answer, Place("t", 1)) for answer in "ab"]
    _, _, (found,) = clean({"train": rows})
    assert (found.name, found.severity) == ("several_answers", "info")


def test_measured_splits_keep_their_rows() -> None:
    splits = {
        "train": rows_of("tr", ("one", "a"), ("two", "a"), ("three", "a")),
        "validation": rows_of("va", ("two", "a"), ("four", "a")),
        "test": rows_of("te", ("One", "b"), ("four", "a")),
    }
    kept, dropped, _ = clean(splits)
    assert [row.input for row in kept["train"]] == ["three"]
    assert [row.input for row in kept["validation"]] == ["two"]
    assert [row.input for row in kept["test"]] == ["One", "four"]
    assert {one.name: one.count for one in dropped} == {
        "validation_in_test": 1,
        "train_in_test": 1,
        "train_in_validation": 1,
    }
    assert dropped[0].examples[0].text == "four → a (also te:2)"


ROWS = st.lists(st.tuples(st.sampled_from(["", "a", "A", "b", "c"]), st.sampled_from(["", "x", "y"])), max_size=12)


@given(ROWS, ROWS, ROWS)
def test_every_row_is_kept_or_told(
    train: list[tuple[str, str]], validation: list[tuple[str, str]], test: list[tuple[str, str]]
) -> None:
    splits = {"train": rows_of("tr", *train), "validation": rows_of("va", *validation), "test": rows_of("te", *test)}
    kept, dropped, _ = clean(splits)
    assert sum(map(len, kept.values())) + sum(one.count for one in dropped) == sum(map(len, splits.values()))
    keys = [{row.key for row in rows} for rows in kept.values()]
    assert len(set().union(*keys)) == sum(map(len, keys))
    assert clean(kept)[1] == []
