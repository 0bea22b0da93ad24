"""What the report says of the places between old and new values, in both languages."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from sample_run import Task, write_run
from zogan.report.html import render
from zogan.report.record import read
from zogan.report.words import Language, Words
from zogan.train.regularize import Point

POINTS = (
    Point(0.0, 1.09, (0.41, 1.09)),
    Point(0.5, 0.61, (0.252, 0.61), best=True),
    Point(1.0, 0.6042, (0.256, 0.6042)),
    Point(1.5, 0.93, (0.3, 0.93)),
)


def with_points(run: Path, kind: str = "interpolation") -> Path:
    """A run whose training has tried them, as its log tells."""
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps({"kind": kind, **asdict(point)}) + "\n" for point in POINTS)
    return run


def cells(page: str, words: Words) -> list[list[str]]:
    """The table's rows, as text."""
    table = page.partition(f"<caption>{words('points.caption')}</caption>")[2].partition("</table>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]


@pytest.mark.parametrize("language", ["en", "ja"])
def test_each_place_has_its_row_and_the_best_is_marked(tmp_path: Path, language: Language) -> None:
    words = Words(language, unbroken=True)
    head, *rows = cells(render(read(with_points(write_run(tmp_path / "run"))), language), words)
    assert head == [words(f"points.{name}") for name in ("share", "errors", "loss", "choice")]
    assert rows == [
        [words.percent(0, 0), words.percent(0.41), "1.0900", ""],
        [words.percent(0.5, 0), words.percent(0.252), "0.6100", words("points.kept")],
        [words.percent(1, 0), words.percent(0.256), "0.6042", ""],
        [words.percent(1.5, 0), words.percent(0.3), "0.9300", ""],
    ]


def test_of_generation_the_loss_alone_is_told(tmp_path: Path) -> None:
    run = with_points(write_run(tmp_path / "run", "generation"))
    head, *rows = cells(render(read(run), "en"), Words("en", unbroken=True))
    assert head == ["Share of the way", "Loss", "Choice"]
    assert [row[1] for row in rows] == ["1.0900", "0.6100", "0.6042", "0.9300"]


@pytest.mark.parametrize("task", ["classification", "generation"])
def test_without_any_nothing_is_said(tmp_path: Path, task: Task) -> None:
    run = write_run(tmp_path / "run", task)
    assert Words("en")("points.lead") not in render(read(run), "en")


def test_the_second_stage_s_are_not_the_first_s(tmp_path: Path) -> None:
    assert read(with_points(write_run(tmp_path / "run"), "adapters_interpolation")).points == []
