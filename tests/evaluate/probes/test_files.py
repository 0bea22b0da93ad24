"""Texts of a user's file, with their lines; what is none is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

import data
from zogan.errors import DataError
from zogan.evaluate.probes.files import read_texts


def test_lines_and_columns(tmp_path: Path) -> None:
    plain = tmp_path / "a.txt"
    plain.write_text("one\n\n two \n")
    assert read_texts(plain, "text", "utf-8") == [(1, "one"), (3, "two")]
    rows = data.write_jsonl(tmp_path / "a.jsonl", [{"text": "x"}, {"text": " "}, {"text": "y"}])
    assert read_texts(rows, "text", "utf-8") == [(1, "x"), (3, "y")]


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.txt: cannot be read"):
        read_texts(tmp_path / "none.txt", "text", "utf-8")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(DataError, match=r"empty\.txt: holds no text"):
        read_texts(tmp_path / "empty.txt", "text", "utf-8")
    rows = data.write_jsonl(tmp_path / "a.jsonl", [{"text": "x"}, {"text": 3}])
    with pytest.raises(DataError, match=r"a\.jsonl:2: 'text' is no text"):
        read_texts(rows, "text", "utf-8")
