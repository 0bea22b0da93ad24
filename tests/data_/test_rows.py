"""Rows: their places, inputs, targets, and when two inputs are the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zogan.data.rows import DialogueRow, Message, Place, TextRow, dialogue, normalise

PLACE = Place("train.jsonl", 12)


def test_a_place_reads_as_file_and_line() -> None:
    assert str(PLACE) == "train.jsonl:12"


def test_a_text_row() -> None:
    row = TextRow("Ｈello  World", "greeting", PLACE)
    assert (row.input, row.target, row.key) == ("Ｈello  World", "greeting", "hello world")


def test_a_prompt_is_the_input_alone() -> None:
    row = dialogue("Where is my bag?", "On its way.", PLACE)
    assert (row.input, row.target) == ("Where is my bag?", "On its way.")
    assert row.chat() == [
        {"role": "user", "content": "Where is my bag?"},
        {"role": "assistant", "content": "On its way."},
    ]


def test_longer_dialogues_keep_their_roles() -> None:
    turns = (Message("system", "Be kind."), Message("user", "Hi"), Message("assistant", "Hello"))
    row = DialogueRow(turns, PLACE)
    assert row.input == "system: Be kind.\nuser: Hi"
    assert row.key != dialogue("Hi", "Hello", PLACE).key


@pytest.mark.parametrize(
    ("one", "other"), [("ＡＢＣ", "abc"), ("e\u0301", "é"), (" a\n\tb ", "a b"), ("ｶﾞ", "ガ"), ("STRASSE", "straße")]
)
def test_what_a_reader_does_not_see_is_folded(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@given(st.text(), st.sampled_from([" ", "\n", "\u3000"]))
def test_white_space_around_never_matters(text: str, space: str) -> None:
    assert normalise(space + text + space) == normalise(text)
