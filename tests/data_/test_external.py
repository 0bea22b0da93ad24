"""External sets: what is read, what is left out, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data import make_config, text_rows, write_jsonl, write_rows, write_splits
from zogan.config import Config
from zogan.data.check import check
from zogan.data.external import External, load_external
from zogan.data.load import load
from zogan.errors import ConfigError, DataError


def config(folder: Path, **keys: Any) -> Config:
    data = write_splits(folder, "classification", train=30, validation=6, test=9)
    write_rows(folder / "away.jsonl", text_rows(12, start=100))
    given = {"external": [{"name": "away", "file": "away.jsonl", "note": "another site"}]} | keys
    return make_config(folder, data={**data, **given})


def loaded(given: Config) -> tuple[External, ...]:
    return load_external(given, load(given))


def test_a_set_is_read_with_the_columns_of_the_data(tmp_path: Path) -> None:
    (found,) = loaded(config(tmp_path))
    assert (found.name, found.note, len(found.rows), found.findings) == ("away", "another site", 12, ())
    assert str(found.rows[2].place) == "away.jsonl:3"


def test_rows_that_stand_in_the_runs_own_are_told_and_left_out(tmp_path: Path) -> None:
    given = config(tmp_path)
    rows = [*text_rows(2), *text_rows(1, start=30), *text_rows(3, start=36), *text_rows(4, start=100)]
    write_rows(tmp_path / "away.jsonl", rows)
    (found,) = loaded(given)
    assert [row.input for row in found.rows] == [row.input for row in rows[6:]]
    told = {one.name: one for one in found.findings}
    assert {name: one.count for name, one in told.items()} == {
        "external_in_train": 2,
        "external_in_validation": 1,
        "external_in_test": 3,
    }
    assert told["external_in_train"].examples[1].place == "away.jsonl:2"
    assert "(also train.jsonl:2)" in told["external_in_train"].examples[1].text


def test_a_label_that_training_never_saw_is_refused_with_its_rows(tmp_path: Path) -> None:
    given = config(tmp_path)
    write_jsonl(tmp_path / "away.jsonl", [{"text": "one", "label": "good"}, {"text": "two", "label": "angry"}])
    with pytest.raises(DataError, match=r"1 rows of external set 'away' with a label .*'angry'.*away\.jsonl:2"):
        loaded(given)
    dropping = given.model_copy(update={"data": given.data.model_copy(update={"unknown_labels": "drop"})})
    (found,) = loaded(dropping)
    assert ([row.input for row in found.rows], found.findings[0].count) == (["one"], 1)


def test_rows_that_cannot_be_read_are_refused_or_skipped(tmp_path: Path) -> None:
    given = config(tmp_path)
    write_jsonl(tmp_path / "away.jsonl", [{"text": "one", "label": "good"}, {"text": 3, "label": "good"}])
    with pytest.raises(DataError, match=r"external set 'away' that cannot be read: away\.jsonl:2"):
        loaded(given)
    skipping = given.model_copy(update={"data": given.data.model_copy(update={"unreadable": "skip"})})
    assert len(loaded(skipping)[0].rows) == 1


def test_a_file_that_is_not_there_is_named_with_its_set(tmp_path: Path) -> None:
    given = config(tmp_path)
    (tmp_path / "away.jsonl").unlink()
    with pytest.raises(DataError, match=r"away\.jsonl: no such file\. See `data.external`, set 'away'"):
        loaded(given)


def test_a_set_of_which_nothing_is_left_is_refused(tmp_path: Path) -> None:
    given = config(tmp_path)
    write_rows(tmp_path / "away.jsonl", text_rows(3))
    with pytest.raises(DataError, match="no rows of external set 'away' are left"):
        loaded(given)


def test_the_data_check_tells_of_external_sets(tmp_path: Path) -> None:
    given = config(tmp_path)
    write_rows(tmp_path / "away.jsonl", [*text_rows(2), *text_rows(4, start=100)])
    found = check(given)
    assert found.external == {"away": 4}
    assert [one.name for one in found.findings] == ["external_in_train"]
    assert not found.fatal
    (tmp_path / "away.jsonl").unlink()
    assert check(given).fatal


def test_names_stand_once_and_floors_are_of_sets_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="external set 'away' stands twice"):
        config(tmp_path, external=[{"name": "away", "file": "a.jsonl"}, {"name": "away", "file": "b.jsonl"}])
    data = {"train": "train.jsonl", "external": [{"name": "away", "file": "away.jsonl"}]}
    with pytest.raises(ConfigError, match=r"'awai', which is none of data\.external\. Did you mean 'away'\?"):
        make_config(tmp_path, data=data, protocol={"external": [{"name": "awai", "floor": 0.5}]})
