"""The rows of a run: read from every format alike, or refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from data import make_config, text_rows, write_jsonl, write_rows, write_splits
from zogan.config import Config
from zogan.data.load import load
from zogan.errors import DataError


@pytest.mark.parametrize("task", ["classification", "generation"])
def test_three_files(tmp_path: Path, task: str) -> None:
    config = make_config(tmp_path, task, data=write_splits(tmp_path, task))  # type: ignore[arg-type]
    splits = load(config)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (60, 12, 24)
    assert (splits.dropped, splits.noted, splits.cut) == ((), (), ())
    assert str(splits.test[0].place) == "test.jsonl:1"
    assert load(config) == splits


def test_every_format_gives_the_same_rows(tmp_path: Path) -> None:
    rows = text_rows(60)
    write_rows(tmp_path / "f.jsonl", rows)
    table = {"text": [row.text for row in rows], "label": [row.label for row in rows]}
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "f.parquet")
    for suffix, separator in (("csv", ","), ("tsv", "\t")):
        lines = [separator.join(("text", "label")), *(separator.join((row.text, row.label)) for row in rows)]
        (tmp_path / f"f.{suffix}").write_text("\n".join(lines))
    digests = {
        load(make_config(tmp_path, data={"train": f"f.{suffix}"})).digest
        for suffix in ("jsonl", "csv", "tsv", "parquet")
    }
    assert len(digests) == 1


def test_places_tell_files_of_one_name_apart(tmp_path: Path) -> None:
    for index, name in enumerate(("train", "test")):
        (tmp_path / name).mkdir()
        write_rows(tmp_path / name / "rows.jsonl", text_rows(30, start=30 * index))
    config = make_config(tmp_path, data={"train": "train/rows.jsonl", "test": "test/rows.jsonl"})
    assert {row.place.file for row in load(config).test} == {"test/rows.jsonl"}


def test_unreadable_rows_stop_a_run_unless_skipped(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", text_rows(60))
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write("no\n{}\n" + json.dumps({"text": "t", "label": None}) + "\n[]\n")
    said = (
        r"^4 rows that cannot be read: train.jsonl:61 \(not JSON: .*\), train.jsonl:62 \(no 'text'\), "
        r"train.jsonl:63 \('label' is null\), …\. .*--set data.unreadable=skip\. `zogan data check` tells more$"
    )
    with pytest.raises(DataError, match=said):
        load(make_config(tmp_path))
    splits = load(make_config(tmp_path, data={"train": "train.jsonl", "unreadable": "skip"}))
    assert splits.dropped[0].count == 4


def test_too_little_is_said(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", text_rows(1))
    with pytest.raises(DataError, match=r"no rows are left for validation \(from train.jsonl\)\. Add rows"):
        load(make_config(tmp_path))


def sliced(folder: Path, **data: str) -> Config:
    """A configuration with a slice by a column."""
    slices = [{"name": "english", "column": "lang", "value": "en", "floor": 0.5}]
    return make_config(folder, data=data, protocol={"slices": slices})


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_test_rows_keep_the_columns_of_slices(tmp_path: Path, suffix: str) -> None:
    write_rows(tmp_path / "train.jsonl", text_rows(60))
    columns = {
        "text": [row.text for row in text_rows(9, start=60)],
        "label": [row.label for row in text_rows(9, start=60)],
        "lang": ["en", "de", "fr"] * 3,
    }
    if suffix == "parquet":
        pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "test.parquet")
    elif suffix == "csv":
        lines = [",".join(columns), *(",".join(row) for row in zip(*columns.values(), strict=True))]
        (tmp_path / "test.csv").write_text("\n".join(lines))
    else:
        write_jsonl(
            tmp_path / "test.jsonl",
            [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)],
        )
    files = {"train": "train.jsonl", "test": f"test.{suffix}"}
    splits = load(sliced(tmp_path, **files))
    assert [row.columns for row in splits.test[:2]] == [(("lang", "en"),), (("lang", "de"),)]
    assert {row.columns for row in splits.train} == {()}
    assert splits.digest == load(make_config(tmp_path, data=files)).digest


def test_columns_come_from_train_where_the_test_is_cut_from_it(tmp_path: Path) -> None:
    records = [{"text": row.text, "label": row.label, "lang": "en"} for row in text_rows(60)]
    write_jsonl(tmp_path / "train.jsonl", records)
    assert {row.columns for row in load(sliced(tmp_path, train="train.jsonl")).test} == {(("lang", "en"),)}


def test_a_column_that_the_test_lacks_is_named(tmp_path: Path) -> None:
    files = write_splits(tmp_path, "classification")
    with pytest.raises(DataError, match=r"test\.jsonl: no column 'lang'"):
        load(sliced(tmp_path, **files))
