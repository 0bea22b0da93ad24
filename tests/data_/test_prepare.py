"""From files to splits: what is cut, what is refused, and what the digest covers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from data import dialogue_rows, make_config, text_rows
from zogan.config import DataConfig
from zogan.data.prepare import Files, digest, prepare
from zogan.data.read import Unreadable
from zogan.data.rows import Place, Row, TextRow

DATA = DataConfig(train=Path("train.jsonl"))
PLACE = Place("test.jsonl", 1)


def files(**rows: list[TextRow] | list[Row]) -> Files:
    return Files({name: tuple(some) for name, some in rows.items()}, ())


def test_shares_are_of_the_trains_file() -> None:
    splits, refused = prepare(files(train=text_rows(300)), DATA)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (210, 30, 60)
    assert (splits.cut, splits.labels, refused) == (("validation", "test"), ("bad", "fine", "good"), ())


@pytest.mark.parametrize(("given", "missing", "size"), [("test", "validation", 30), ("validation", "test", 60)])
def test_only_what_is_missing_is_cut(given: str, missing: str, size: int) -> None:
    rows = {"train": text_rows(300), given: text_rows(9, start=300)}
    splits, _ = prepare(files(**rows), DATA)
    assert splits.cut == (missing,)
    assert (len(getattr(splits, missing)), len(getattr(splits, given))) == (size, 9)
    assert len(splits.train) == 300 - size


def test_the_seed_is_the_datas_own(tmp_path: Path) -> None:
    config = make_config(tmp_path, data={"train": "t.jsonl", "seed": 1}, train={"seed": 5})
    assert prepare(files(train=text_rows(99)), config.data)[0].test != prepare(files(train=text_rows(99)), DATA)[0].test


def test_dialogues_have_no_labels() -> None:
    splits, refused = prepare(Files({"train": tuple(dialogue_rows(40))}, ()), DATA)
    assert (splits.labels, len(splits.test), refused) == ((), 8, ())


def test_unknown_labels_are_refused_or_dropped() -> None:
    odd = [TextRow("odd", "strange", PLACE), *text_rows(3, start=60)]
    splits, (found,) = prepare(files(train=text_rows(30), test=odd), DATA)
    assert (found.name, found.severity, found.count) == ("unknown_label_in_test", "error", 1)
    assert "('strange')" in found.what
    splits, refused = prepare(files(train=text_rows(30), test=odd), DATA.model_copy(update={"unknown_labels": "drop"}))
    assert (refused, len(splits.test)) == ((), 3)
    assert splits.dropped[0].severity == "warning"


def test_unreadable_rows_are_refused_or_dropped() -> None:
    read = Files({"train": tuple(text_rows(30))}, (Unreadable(Place("f", 3), "not JSON", encoding=False),))
    splits, (found,) = prepare(read, DATA)
    assert (found.name, splits.dropped) == ("unreadable", ())
    splits, refused = prepare(read, DATA.model_copy(update={"unreadable": "skip"}))
    assert (refused, splits.dropped[0].name) == ((), "unreadable")


def test_too_little_is_refused() -> None:
    _, refused = prepare(files(train=[]), DATA)
    names = ("train", "validation", "test")
    assert [one.what for one in refused] == [f"no rows are left for {name} (from {DATA.train.name})" for name in names]
    _, refused = prepare(files(train=[row for row in text_rows(30) if row.label == "bad"]), DATA)
    assert [one.name for one in refused] == ["one_class"]


def test_the_digest_is_of_rows_not_of_places() -> None:
    rows: dict[str, list[Row]] = {"train": [*text_rows(3)], "validation": [], "test": [*dialogue_rows(2)]}
    moved = {name: [replace(row, place=PLACE) for row in some] for name, some in rows.items()}
    assert digest(rows) == digest(moved)
    assert digest(rows) != digest(rows | {"train": [], "validation": rows["train"]})
    assert digest(rows) != digest(rows | {"train": rows["train"][::-1]})
    assert digest(rows) == "da1ebab3060d6df08d8b199600809e14ba4cf104a65f705c6ff33b7f078422f1"
