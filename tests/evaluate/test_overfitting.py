"""A model that knows its rows by heart has a gap; one that does not has none."""

from __future__ import annotations

import numpy as np
import pytest

from data import text_rows
from zogan.config import EvaluateConfig
from zogan.evaluate.overfitting import drawn, overfitting
from zogan.evaluate.statistics import gap_of_shares
from zogan.tasks.task import ClassPredictions, TextPredictions

SETTINGS = EvaluateConfig(resamples=200)


def classes(right: int, rows: int) -> ClassPredictions:
    good = np.arange(rows) < right
    probabilities = np.where(good[:, None], [0.9, 0.1], [0.2, 0.8])
    return ClassPredictions(("a", "b"), np.zeros(rows, dtype=np.int64), probabilities, -np.log(probabilities[:, 0]))


def test_the_gap_of_a_share_and_of_the_loss() -> None:
    found = overfitting(classes(100, 100), classes(70, 100), settings=SETTINGS, seed=0)
    learnt, expected = found.figures["accuracy"], gap_of_shares((100, 100), (70, 100), level=0.95)
    assert (found.rows, learnt.training, learnt.held_out) == (100, 1.0, 0.7)
    assert (learnt.gap.value, learnt.gap.low, learnt.gap.high) == (expected.value, expected.low, expected.high)
    assert learnt.gap.better is False
    assert found.loss.gap.value == pytest.approx(found.loss.held_out - found.loss.training)
    assert found.loss.gap.low > 0


def test_a_model_that_is_the_same_on_both_has_no_gap() -> None:
    found = overfitting(classes(70, 100), classes(35, 50), settings=SETTINGS, seed=0)
    assert found.figures["accuracy"].gap.better is None
    assert found.loss.gap.better is None


def test_of_texts_the_loss_is_a_mean_over_tokens_and_answers_are_left_out() -> None:
    tokens = np.array([1, 3] * 20)
    training = TextPredictions(tokens * 0.5, tokens, (), ())
    held_out = TextPredictions(tokens * 1.5, tokens, ("a", "b"), ("a", "c"))
    found = overfitting(training, held_out, settings=SETTINGS, seed=0)
    assert found.figures.keys() == {"loss", "perplexity"}
    assert (found.loss.training, found.loss.held_out) == (0.5, 1.5)


def test_rows_are_drawn_by_the_seed_in_their_order() -> None:
    rows = text_rows(30)
    assert drawn(rows, 40, 0) == tuple(rows)
    found = drawn(rows, 10, 0)
    assert (len(found), found == drawn(rows, 10, 0), found == drawn(rows, 10, 1)) == (10, True, False)
    lines = [row.place.line for row in found]
    assert lines == sorted(lines)
