"""The check: every kind of finding, and that it says what a run does."""

from __future__ import annotations

from pathlib import Path

import pytest

from data import make_config, text_rows, write_jsonl, write_rows, write_splits
from zogan.data.check import Check, check
from zogan.data.load import load
from zogan.errors import DataError


def test_clean_data_has_no_findings(tmp_path: Path) -> None:
    got = check(make_config(tmp_path, data=write_splits(tmp_path, "classification")))
    assert (got.findings, got.fatal) == ((), False)
    assert got.rows == got.used == {"train": 60, "validation": 12, "test": 24}
    assert got.balance["bad"] == {"train": 20, "validation": 4, "test": 8}
    assert got.skipped == ("length: no model was opened",)


def test_everything_that_can_be_wrong_is_found(tmp_path: Path) -> None:
    data = write_splits(tmp_path, "classification")
    first = text_rows(1)[0].text
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write("{\n")
    write_jsonl(tmp_path / "more.jsonl", [
        {"text": " ", "label": "bad"},
        {"text": "cafÃ© late", "label": "bad"},
        {"text": "once", "label": "Bad"},
        {"text": "once", "label": "good"},
        {"text": "twice", "label": "good"},
        {"text": "twice", "label": "good"},
    ])  # fmt: skip
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write((tmp_path / "more.jsonl").read_text())
    with (tmp_path / "test.jsonl").open("a") as file:
        file.write(f'{{"text": "{first}", "label": "bad"}}\n{{"text": "new", "label": "awful"}}\n')
    config = make_config(tmp_path, data=data)
    got = check(config, token_length=lambda row: len(row.input.split()), limit=3)
    assert {one.name: one.count for one in got.findings} == {
        "unreadable": 1,
        "unknown_label_in_test": 1,
        "empty": 1,
        "duplicate": 1,
        "train_in_test": 1,
        "two_labels": 2,
        "rare_label": 1,
        "labels_alike": 1,
        "encoding": 1,
        "long": 96,
    }
    assert all(one.examples and one.action for one in got.findings)
    assert [one.severity for one in got.findings][:3] == ["error", "error", "warning"]
    assert got.fatal
    assert got.skipped == ()
    assert '"fatal":true' in got.model_dump_json()
    assert Check.model_validate_json(got.model_dump_json()) == got
    with pytest.raises(DataError, match=r"1 rows that cannot be read: train.jsonl:61"):
        load(config)


def test_generation(tmp_path: Path) -> None:
    config = make_config(tmp_path, "generation", data=write_splits(tmp_path, "generation"))
    got = check(config, token_length=lambda row: 9, limit=8)
    assert [one.name for one in got.findings] == ["long"]
    assert "oldest part of the prompt" in got.findings[0].action
    assert got.balance == {}


@pytest.mark.parametrize(("limit", "names"), [(9, []), (8, ["long"])])
def test_a_row_as_long_as_the_limit_is_read_whole(tmp_path: Path, limit: int, names: list[str]) -> None:
    config = make_config(tmp_path, data=write_splits(tmp_path, "classification"))
    assert [one.name for one in check(config, token_length=lambda row: 9, limit=limit).findings] == names


def test_a_file_that_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"texte": "a", "label": "b"}\n')
    got = check(make_config(tmp_path))
    assert got.fatal
    assert got.findings[0].what == "train.jsonl: no column 'text'"
    assert "Did you mean 'texte'" in got.findings[0].action


def test_what_stops_a_run_is_fatal_and_nothing_else(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", [row for row in text_rows(30) if row.label == "bad"])
    config = make_config(tmp_path)
    assert check(config).fatal
    with pytest.raises(DataError, match="train has one class alone, 'bad'"):
        load(config)


def test_many_rows_without_a_fault(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", text_rows(3_000))
    assert check(make_config(tmp_path)).findings == ()
