"""Which rows are explained."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import data
from planted import planted_job
from zogan.evaluate.explanation.wanted import a_text, telling
from zogan.evaluate.predictions import Predicted
from zogan.tasks.task import ClassPredictions, TextPredictions


def said(*rows: tuple[float, float, float]) -> ClassPredictions:
    """All rows are bad in truth."""
    table = np.array(rows)
    return ClassPredictions(data.LABELS, np.zeros(len(rows), dtype=np.int64), table, -np.log(table[:, 0]))


def test_the_surest_that_turned_and_the_least_sure(tmp_path: Path) -> None:
    job = planted_job(tmp_path, "classification", test=data.text_rows(6, file="test.jsonl"))
    right, wrong = (0.8, 0.1, 0.1), (0.1, 0.8, 0.1)
    before = said(wrong, wrong, right, right, right, wrong)
    after = said((0.7, 0.2, 0.1), (0.9, 0.05, 0.05), (0.3, 0.6, 0.1), (0.2, 0.7, 0.1), (0.4, 0.35, 0.25), wrong)
    found = telling(job, Predicted(before, after, "base"))
    assert [(one.why, one.number) for one in found] == [("right", 2), ("wrong", 4), ("uncertain", 5)]
    assert found[0].row == job.splits.test[1]


def test_where_none_turned_the_least_sure_is_left(tmp_path: Path) -> None:
    job = planted_job(tmp_path, "classification", test=data.text_rows(2))
    same = said((0.9, 0.05, 0.05), (0.6, 0.2, 0.2))
    assert [(one.why, one.number) for one in telling(job, Predicted(same, same, "base"))] == [("uncertain", 2)]
    assert telling(job, Predicted(same, None, "base")) == []


def test_no_row_is_told_twice(tmp_path: Path) -> None:
    job = planted_job(tmp_path, "classification", test=data.text_rows(2))
    before, after = said((0.1, 0.8, 0.1), (0.9, 0.05, 0.05)), said((0.4, 0.3, 0.3), (0.9, 0.05, 0.05))
    found = telling(job, Predicted(before, after, "base"))
    assert [(one.why, one.number) for one in found] == [("right", 1), ("uncertain", 2)]


def test_of_generation_the_loss_a_token_tells(tmp_path: Path) -> None:
    job = planted_job(tmp_path, "generation", test=data.dialogue_rows(4))
    tokens = np.array([1, 10, 1, 1], dtype=np.int64)

    def losses(*each: float) -> TextPredictions:
        return TextPredictions(np.array(each), tokens, (), ())

    predicted = Predicted(losses(3.0, 30.0, 1.0, 5.0), losses(1.0, 25.0, 2.0, 5.0), "base")
    found = telling(job, predicted)
    assert [(one.why, one.number) for one in found] == [("right", 1), ("wrong", 3), ("uncertain", 4)]


def test_a_text_is_a_row_of_no_place(tmp_path: Path) -> None:
    job = planted_job(tmp_path, "classification", test=data.text_rows(2))
    one = a_text(job, "late again")
    assert (one.why, one.number, one.row.input) == ("text", None, "late again")
