"""One figure of two models on the same rows."""

from __future__ import annotations

import numpy as np
import pytest

import data
from zogan.config import EvaluateConfig
from zogan.errors import ZoganError
from zogan.evaluate.explanation.paired import difference_of, needs_answers, value_of
from zogan.evaluate.metrics import metrics
from zogan.tasks.task import ClassPredictions, TextPredictions

SETTINGS = EvaluateConfig(resamples=200)


def classes(right: int, of: int) -> ClassPredictions:
    table = np.full((of, 3), 0.1)
    table[np.arange(of), np.where(np.arange(of) < right, 0, 1)] = 0.8
    return ClassPredictions(data.LABELS, np.zeros(of, dtype=np.int64), table, np.zeros(of))


def test_rows_that_are_right_or_wrong_have_the_score_interval() -> None:
    accuracy = metrics("classification")["accuracy"]
    found = difference_of(accuracy, classes(10, 40), classes(30, 40), SETTINGS, 0)
    assert (found.value, found.method, found.better) == (0.5, "score", True)
    assert difference_of(accuracy, classes(30, 40), classes(10, 40), SETTINGS, 0).better is False
    assert value_of(accuracy, classes(10, 40)) == 0.25


def test_other_figures_have_the_paired_bootstrap() -> None:
    losses = np.linspace(1, 4, 20)
    one, other = (TextPredictions(x, np.ones(20, dtype=np.int64), (), ()) for x in (losses, losses - 0.5))
    loss = metrics("generation")["loss"]
    found = difference_of(loss, one, other, SETTINGS, 0)
    assert found.value == pytest.approx(-0.5)
    assert found.better is True  # lower is better
    assert found.high - found.low < 0.01  # on the same rows: each fell by as much


def test_a_figure_of_no_rows_is_refused() -> None:
    with pytest.raises(ZoganError, match="metric 'loss': gives no finite figure"):
        value_of(metrics("generation")["loss"], TextPredictions(np.zeros(1), np.zeros(1, dtype=np.int64), (), ()))


def test_answers_are_asked_for_where_the_figure_is_of_them() -> None:
    assert {name for name, one in metrics("generation").items() if needs_answers(one)} >= {"chrf", "exact_match"}
    assert not needs_answers(metrics("generation")["loss"])
    assert not needs_answers(metrics("classification")["accuracy"])
