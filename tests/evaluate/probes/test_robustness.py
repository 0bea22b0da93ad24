"""A model that is turned by a slip is told from one that is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import data
from planted import Planted, planted_job
from zogan.config import RobustnessConfig
from zogan.data.rows import DialogueRow, Message, Place, Row, TextRow
from zogan.evaluate.probes.bench import NotProbedError
from zogan.evaluate.probes.robustness import robustness, text_of, with_text
from zogan.tasks.job import Job


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return planted_job(tmp_path_factory.mktemp("job"), "classification", test=data.text_rows(60))


def steady(row: Row) -> tuple[str, float]:
    return row.target, 0.9


def hates_capitals(row: Row) -> tuple[str, float]:
    return ("bad" if row.input.isupper() and row.target != "bad" else row.target), 0.9


def test_a_model_that_capitals_turn(job: Job) -> None:
    options = RobustnessConfig(limit=0.05)
    (found,) = robustness.look(Planted(job, {"before": steady, "after": hates_capitals}), options)
    assert found.outcome == "broken"
    assert found.before is not None
    assert found.before.value == 0
    assert found.before.high > 0
    lines: dict[Any, Any] = {(line[0], line[1]): line[2:] for line in found.tables[0].rows}
    assert {kind for _, kind in lines} == {"typing", "case", "spacing", "punctuation"}
    assert lines["after", "case"] == (60, pytest.approx(2 / 3), 1.0, pytest.approx(1 / 3))
    assert lines["after", "typing"][1:] == (0.0, 1.0, 1.0)
    assert lines["before", "case"][1] == 0
    assert all(example.what.startswith("case: ") and example.text.isupper() for example in found.examples)
    (clean,) = robustness.look(Planted(job, {"after": steady}), options)
    assert (clean.value.value, clean.examples) == (0, ())
    assert clean.outcome == "undecided"  # 60 rows do not show less than 5 %
    (kept,) = robustness.look(Planted(job, {"after": steady}), RobustnessConfig(limit=0.1))
    assert kept.outcome == "kept"


def test_rows_are_drawn_by_seed(job: Job) -> None:
    bench = Planted(job, {"after": hates_capitals})
    first, second = (robustness.look(bench, RobustnessConfig(rows=12))[0] for _ in range(2))
    assert first == second
    assert first.rows == 12


def test_an_answer_is_asked_for_with_the_last_turn_changed(tmp_path: Path) -> None:
    job = planted_job(tmp_path, "generation")
    bench = Planted(job, {"after": lambda row: (row.input, 1.0)})
    (found,) = robustness.look(bench, RobustnessConfig(kinds=("case",)))
    assert (found.value.value, found.rows) == (1, 20)
    turns = (Message("user", "a"), Message("assistant", "b"), Message("user", "c"), Message("assistant", "d"))
    row = DialogueRow(turns, Place("f", 1))
    assert text_of(row) == "c"
    changed = with_text(row, "x")
    assert isinstance(changed, DialogueRow)
    assert [one.content for one in changed.messages] == ["a", "b", "x", "d"]


def test_texts_without_a_place_for_a_slip(tmp_path: Path) -> None:
    rows = [TextRow("1", "bad", Place("t", 1)), TextRow("2", "good", Place("t", 2))]
    bench = Planted(planted_job(tmp_path, "classification", test=rows), {"after": steady})
    with pytest.raises(NotProbedError, match="no text has a place for a slip"):
        robustness.look(bench, RobustnessConfig(kinds=("typing", "kana")))
