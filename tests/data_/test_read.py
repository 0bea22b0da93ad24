"""Records to rows: types of labels, shapes of dialogues, and faults with their places."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data import make_config, write_jsonl
from zogan.data.read import Read, read
from zogan.data.rows import DialogueRow, Message, Place, TextRow


def read_one(folder: Path, record: object, task: str = "classification", **data: Any) -> Read:
    path = folder / "f.jsonl"
    full = {"text": "t", "label": "l", "prompt": "p", "response": "r", "messages": []}
    # A first row that is good: a column which every row lacks is another error.
    good = full | {"messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "r"}]}
    path.write_text(f"{json.dumps(good)}\n{json.dumps(record)}\n")
    config = make_config(folder, task, data={"train": "f.jsonl", **data})
    return read(path, config.data, config.task)


@pytest.mark.parametrize(
    ("value", "label"), [("a b", "a b"), (3, "3"), (True, "true"), (False, "false"), (0.5, "0.5"), ("", "")]
)
def test_labels_become_text(tmp_path: Path, value: object, label: str) -> None:
    got = read_one(tmp_path, {"text": "t", "label": value})
    assert got.rows[1] == TextRow("t", label, Place("f.jsonl", 2))


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"text": "t", "label": None}, "'label' is null"),
        ({"text": "t", "label": float("nan")}, "'label' is a number, not a class"),
        ({"text": "t", "label": ["a"]}, "'label' is a list, not a class"),
        ({"text": "t"}, "no 'label'"),
        ({"text": None, "label": "l"}, "'text' is null"),
        ({"text": {}, "label": "l"}, "'text' is an object, not text"),
        ({"text": True, "label": "l"}, "'text' is a truth value, not text"),
    ],
)
def test_what_is_no_text_row(tmp_path: Path, record: object, said: str) -> None:
    (fault,) = read_one(tmp_path, record).faults
    assert str(fault) == f"f.jsonl:2 ({said})"
    assert not fault.encoding


def test_half_a_surrogate_pair_is_an_encoding_fault(tmp_path: Path) -> None:
    (fault,) = read_one(tmp_path, {"text": "\ud83d", "label": "l"}).faults
    assert (fault.what, fault.encoding) == ("'text' holds half of a surrogate pair", True)


def test_prompt_and_response(tmp_path: Path) -> None:
    (_, row) = read_one(tmp_path, {"q": "Q?", "response": "A."}, "generation", prompt="prompt").rows * 2
    assert isinstance(row, DialogueRow)
    write_jsonl(tmp_path / "g.jsonl", [{"q": "Q?", "a": "A."}])
    config = make_config(tmp_path, "generation", data={"train": "g.jsonl", "prompt": "q", "response": "a"})
    (row,) = read(tmp_path / "g.jsonl", config.data, "generation", name="shown").rows
    assert (row.input, row.target, str(row.place)) == ("Q?", "A.", "shown:1")


def turn(role: str, content: object) -> dict[str, object]:
    return {"role": role, "content": content}


def test_messages(tmp_path: Path) -> None:
    turns = [turn("system", "S"), turn("user", "U"), turn("assistant", "A")]
    for value in (turns, json.dumps(turns)):
        row = read_one(tmp_path, {"messages": value}, "generation", messages="messages").rows[1]
        assert isinstance(row, DialogueRow)
        assert row.messages == (Message("system", "S"), Message("user", "U"), Message("assistant", "A"))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "'messages' does not end with the assistant's turn"),
        ([turn("user", "U")], "'messages' does not end with the assistant's turn"),
        ([turn("assistant", "A")], "'messages' has no turn before the assistant's"),
        ([turn("user", "U"), turn("bot", "A")], "messages[2] has role 'bot', not one of system, user, assistant"),
        ([turn("user", None), turn("assistant", "A")], "messages[1] is not {role, content} with text"),
        (["hi"], "messages[1] is not {role, content} with text"),
        ({"a": 1}, "'messages' is an object, not a list"),
        ("[", "'messages' is not JSON"),
    ],
)
def test_what_is_no_dialogue(tmp_path: Path, value: object, said: str) -> None:
    (fault,) = read_one(tmp_path, {"messages": value}, "generation", messages="messages").faults
    assert fault.what == said


def test_faults_of_the_file_are_kept_in_place(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(b"text,label\nfine,a\ncaf\xe9,b\nlast,c,d\n")
    config = make_config(tmp_path)
    got = read(path, config.data, "classification")
    assert [row.target for row in got.rows] == ["a"]
    assert [(fault.place.line, fault.encoding) for fault in got.faults] == [(3, True), (4, False)]


def test_columns_that_are_asked_for_are_kept_as_text(tmp_path: Path) -> None:
    records: list[dict[str, Any]] = [
        {"text": "a", "label": "l", "lang": "en", "stars": 3, "other": "x"},
        {"text": "b", "label": "l", "lang": None, "stars": float("nan")},
        {"text": "c", "label": "l"},
        {"text": "d", "label": "l", "lang": ["en"]},
    ]
    path = write_jsonl(tmp_path / "f.jsonl", records)
    config = make_config(tmp_path)
    got = read(path, config.data, config.task, columns=["lang", "stars", "label"])
    assert [row.columns for row in got.rows] == [
        (("lang", "en"), ("stars", "3"), ("label", "l")),
        (("label", "l"),),
        (("label", "l"),),
    ]
    assert [str(fault) for fault in got.faults] == ["f.jsonl:4 ('lang' is a list, not a value)"]
    assert read(path, config.data, config.task).rows[0].columns == ()
