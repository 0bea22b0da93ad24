"""Texts of a user's file, with their lines; what is none is refused with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import data
from zogan.config import Config, parse_config
from zogan.errors import DataError
from zogan.evaluate.probes.files import read_texts, see_files


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


@pytest.mark.parametrize(
    ("probes", "key"),
    [
        ({"abstention": {"out_of_scope": "off.jsonl"}}, "probes.abstention.out_of_scope"),
        ({"forgetting": {"text": "general.txt"}}, "probes.forgetting.text"),
        ({"churn": {"patch": "in-use.safetensors"}}, "probes.churn.patch"),
    ],
)
def test_a_file_that_is_not_there_is_told_with_its_key(tmp_path: Path, probes: dict[str, Any], key: str) -> None:
    config = asked(tmp_path, probes)
    with pytest.raises(DataError, match=f"no such file, which {key} names. Change {key}, or leave it out"):
        see_files(config)
    (name,) = probes
    see_files(asked(tmp_path, {name: {**probes[name], "run": False}}))


def test_files_are_read_before_they_are_needed(tmp_path: Path) -> None:
    (tmp_path / "off.jsonl").write_text('{"words": "x"}\n')
    with pytest.raises(DataError, match=r"off.jsonl:1: has no 'text'"):
        see_files(asked(tmp_path, {"abstention": {"out_of_scope": "off.jsonl"}}))
    (tmp_path / "general.txt").write_bytes("caf\xe9".encode("latin-1"))
    with pytest.raises(DataError, match="byte 0xe9 at offset 3 is not utf-8"):
        see_files(asked(tmp_path, {"forgetting": {"text": "general.txt"}}))
    see_files(asked(tmp_path, {}))


def asked(folder: Path, probes: dict[str, Any]) -> Config:
    tree = {"model": "base", "task": "classification", "data": {"train": "train.jsonl"}, "probes": probes}
    return parse_config(tree, folder=folder, where="zogan.yaml")
