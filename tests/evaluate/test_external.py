"""Figures on an external set, and the drop from the own test rows."""

from __future__ import annotations

import numpy as np
import pytest

from data import text_rows
from zogan.config import EvaluateConfig
from zogan.data.external import External
from zogan.evaluate.evaluation import ExternalEvaluation
from zogan.evaluate.external import on_external
from zogan.evaluate.predictions import Predicted
from zogan.evaluate.statistics import gap_of_shares
from zogan.tasks.task import ClassPredictions, Predictions, TextPredictions

SETTINGS = EvaluateConfig(resamples=200)


def classes(right: int, rows: int) -> ClassPredictions:
    probabilities = np.where((np.arange(rows) < right)[:, None], [0.9, 0.1], [0.1, 0.9])
    return ClassPredictions(("a", "b"), np.zeros(rows, dtype=np.int64), probabilities, np.ones(rows))


def texts(losses: np.ndarray) -> TextPredictions:
    return TextPredictions(losses, np.ones(len(losses), dtype=np.int64), (), ())


def measured(
    own: tuple[Predictions, Predictions], there: tuple[Predictions, Predictions], rows: int
) -> ExternalEvaluation:
    one = External("away", None, tuple(text_rows(rows)), ())
    return on_external(one, Predicted(*there, "base"), Predicted(*own, "base"), settings=SETTINGS, seed=0)


def test_the_drop_is_that_of_two_independent_samples() -> None:
    found = measured((classes(60, 100), classes(90, 100)), (classes(30, 50), classes(35, 50)), 50)
    assert found.after is not None
    assert found.drop.after is not None
    assert (found.rows, found.after["accuracy"].value) == (50, 0.7)
    expected = gap_of_shares((90, 100), (35, 50), level=0.95)
    drop = found.drop.after["accuracy"]
    assert (drop.value, drop.low, drop.high) == (expected.value, expected.low, expected.high)
    assert drop.better is False
    assert found.drop.before["accuracy"].better is None


def test_of_a_loss_a_drop_is_a_rise() -> None:
    generator = np.random.default_rng(0)
    own, there = generator.gamma(2, 0.5, 80), generator.gamma(2, 1.0, 60)
    found = measured((texts(own), texts(own)), (texts(there), texts(there)), 60)
    drop = found.drop.before["loss"]
    assert drop.value == pytest.approx(there.mean() - own.mean())
    assert (drop.low > 0, drop.better) == (True, False)


def test_without_a_model_after_there_is_no_drop_of_it() -> None:
    one = External("away", "a note", tuple(text_rows(50)), ())
    found = on_external(
        one,
        Predicted(classes(30, 50), None, "base"),
        Predicted(classes(60, 100), None, "base"),
        settings=SETTINGS,
        seed=0,
    )
    assert (found.after, found.drop.after, found.note) == (None, None, "a note")
