"""Each answer comes of rows that are made for it, on a real tiny base; no test row is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import data
import zogan
from planted_rows import beyond, by_lot, few, job_of, told_apart
from tiny_project import tiny_config, write_project
from zogan.data.rows import Place, TextRow
from zogan.errors import ConfigError
from zogan.evaluate.applicability import run
from zogan.evaluate.applicability.result import Applicability
from zogan.tasks import open_job
from zogan.train.plan import Plan


@pytest.mark.parametrize(
    ("rows", "dims", "answer", "reason"),
    [
        (told_apart, None, "not_needed", r"a head on the base as it is has 100.0 % of held-out rows right"),
        (told_apart, 2, "suited", r"the base's layers hold 5\d.\d points more than a head on the last one reads"),
        (by_lot, None, "not_enough_data", "no row's label can be told from the others"),
        (few, None, "not_enough_data", r"twice the training rows may bring a head alone 1\d.\d points, though"),
        (beyond, None, "adapters_or_full", "points that its last does not show, and more rows promise little"),
    ],
)
def test_each_answer_has_its_rows(
    tmp_path: Path, rows: Callable[[], list[TextRow]], dims: int | None, answer: str, reason: str
) -> None:
    found = zogan.check(job_of(tmp_path, rows(), dims=dims))
    assert found.answer == answer, found
    assert re.search(reason, found.reason), found.reason
    assert found.rows["train"] == len(rows())
    assert Applicability.model_validate_json(found.dumps()) == found


def test_classes_of_one_row_are_no_data(tmp_path: Path) -> None:
    rows = [TextRow(f"word {label}", label, Place("train.jsonl", 1)) for label in data.LABELS]
    found = zogan.check(job_of(tmp_path, rows))
    assert (found.answer, found.figures) == ("not_enough_data", {})
    assert found.notes == ("3 rows are of classes with too few rows to hold any out: not judged",)


def test_wrong_labels_are_listed_with_row_and_file(tmp_path: Path) -> None:
    rows = told_apart()
    following = dict(zip(data.LABELS, (*data.LABELS[1:], data.LABELS[0]), strict=True))
    wrong = {place: following[rows[place].label] for place in range(4, len(rows), 10)}
    changed = [TextRow(row.text, wrong.get(place, row.label), row.place) for place, row in enumerate(rows)]
    found = zogan.check(job_of(tmp_path, changed))
    told = {one.line - 1: one for one in found.doubts}
    # The rule leaves out a wrong label that the others are not surer of than their own class is in the mean.
    assert len(wrong.keys() & told.keys()) >= 7
    assert len(told.keys() - wrong.keys()) <= 2
    for place, one in told.items():
        assert (one.file, one.text, one.label) == ("train.jsonl", rows[place].text, changed[place].label)
        assert place not in wrong or one.suggested == rows[place].label
    assert found.figures["noise"].value == len(found.doubts) / len(rows)


def test_no_test_row_is_read(tmp_path: Path) -> None:
    job = job_of(tmp_path, told_apart(), dims=2)
    strange = tuple(TextRow("what no task knows", "no such class", Place("x", 1)) for _ in job.splits.test)
    other = replace(job, splits=replace(job.splits, test=strange))
    assert zogan.check(other) == zogan.check(job)
    none = zogan.check(replace(job, splits=replace(job.splits, test=())))
    assert none.test_rows_needed is None


def test_rows_are_drawn_where_there_are_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "ROWS", 60)
    found = zogan.check(job_of(tmp_path, told_apart()))
    assert found.rows["train"] == 90
    assert found.figures["head"].rows == 60


def test_a_base_with_its_own_head_is_taken_as_it_is(tmp_path: Path) -> None:
    found = zogan.check(job_of(tmp_path, told_apart(), own=data.LABELS))
    assert found.answer == "suited"  # its head is random, and the texts are easy
    assert found.figures["head"].what == "the base's own head, as it is"
    assert found.figures["head"].value < 0.6


@pytest.mark.parametrize("folds", [None, 3])
def test_generation(tmp_path: Path, folds: int | None) -> None:
    write_project(tmp_path, "generation")
    over = ["train.folds=3", "data={train: train.jsonl, test: test.jsonl}"] if folds else []
    found = zogan.check(open_job(tiny_config(tmp_path, *over), cache=tmp_path / "cache"))
    # A random base learns nothing from rows that it is shown, and they are all alike.
    assert (found.task, found.answer) == ("generation", "adapters_or_full")
    judged = 16 if folds else 12
    assert found.figures["loss"].rows == found.figures["shown"].rows == judged
    fall = found.figures["loss"].value - found.figures["shown"].value
    assert found.figures["reach"].value == pytest.approx(fall)
    assert found.figures["neighbour"].value > 50 > found.figures["answers"].value
    assert 0 < found.figures["top_0.1"].value < found.figures["top_1"].value < 1


def test_it_is_said_where_there_is_no_room_for_rows_before_a_prompt(tmp_path: Path) -> None:
    write_project(tmp_path, "generation", layers=1)
    found = zogan.check(open_job(tiny_config(tmp_path, "train.max_length=60"), cache=tmp_path / "cache"))
    (note,) = found.notes
    assert re.match(r"before 12 of 12 prompts there was room for fewer than 4 rows, for \d\.\d in the mean", note)
    assert "60 tokens are the limit (train.max_length)" in note


def test_the_whole_model_must_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "plan_for", lambda job, need: Plan(1, 1, 1))
    with pytest.raises(ConfigError, match=r"budget\.memory: the check needs the whole model in memory"):
        zogan.check(job_of(tmp_path, told_apart()))
