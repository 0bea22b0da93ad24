"""A gain is paired by row, and pays when it is larger than its standard error."""

from __future__ import annotations

import json

import numpy as np
import pytest

from zogan.tasks.task import ClassPredictions, TextPredictions
from zogan.train.gain import gain_of


def classes(right: list[bool], losses: list[float] | None = None) -> ClassPredictions:
    truth = np.zeros(len(right), dtype=np.int64)
    probabilities = np.array([[0.9, 0.1] if hit else [0.1, 0.9] for hit in right])
    return ClassPredictions(("a", "b"), truth, probabilities, np.array(losses or [1.0] * len(right)))


def texts(losses: list[float], tokens: list[int]) -> TextPredictions:
    return TextPredictions(np.array(losses), np.array(tokens), (), ())


def test_of_classes_the_errors_decide() -> None:
    rows = 20
    found = gain_of(classes([False] * 6 + [True] * 14), classes([False] * 2 + [True] * 18, [9.0] * rows))
    assert (found.figure, found.before, found.after) == ("errors", 0.3, 0.1)
    saved = np.array([0.0, 0.0, 1, 1, 1, 1, *[0.0] * 14])
    assert found.standard_error == pytest.approx(saved.std(ddof=1) / np.sqrt(rows))
    assert found.value == pytest.approx(saved.mean())
    assert found.pays


def test_errors_that_only_change_places_leave_it_to_the_loss() -> None:
    before, after = classes([True, False, True], [1.0, 2.0, 3.0]), classes([False, True, True], [0.5, 1.4, 2.6])
    found = gain_of(before, after)
    assert found.figure == "loss"
    assert found.value == pytest.approx(0.5)
    assert found.standard_error == pytest.approx(0.1 / np.sqrt(3))
    assert found.pays
    assert not gain_of(after, before).pays


def test_one_row_more_is_within_chance() -> None:
    found = gain_of(classes([False] * 10 + [True] * 10), classes([False] * 9 + [True] * 11))
    assert found.value == pytest.approx(found.standard_error)
    mixed = gain_of(classes([False, False, True, False, True, True]), classes([True, True, False, False, True, True]))
    assert mixed.value > 0
    assert not mixed.pays


def test_of_texts_each_token_weighs_the_same() -> None:
    tokens = [10, 40, 5]
    found = gain_of(texts([20.0, 60.0, 9.0], tokens), texts([15.0, 40.0, 6.5], tokens))
    assert (found.figure, found.before, found.after) == ("loss", 89 / 55, 61.5 / 55)
    # Each row gains half a nat a token: the rows do not differ in that, however long they are.
    assert found.value == pytest.approx(0.5)
    assert found.standard_error == pytest.approx(0.0, abs=1e-12)
    uneven = gain_of(texts([20.0, 60.0, 9.0], tokens), texts([15.0, 60.0, 9.0], tokens))
    gains = np.array([5.0, 0.0, 0.0]) - 5 / 55 * np.array(tokens)
    assert uneven.standard_error == pytest.approx(np.sqrt(3 / 2 * (gains**2).sum()) / 55)
    assert not uneven.pays


def test_nothing_gained_does_not_pay() -> None:
    same = classes([True, False, True])
    assert not gain_of(same, same).pays
    assert not gain_of(texts([1.0, 2.0], [1, 2]), texts([1.0, 2.0], [1, 2])).pays


def test_one_row_says_nothing_of_chance() -> None:
    found = gain_of(texts([9.0], [3]), texts([1.0], [3]))
    assert found.standard_error is None
    assert not found.pays
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["gain"] == pytest.approx(8 / 3)


def test_two_tasks_are_not_compared() -> None:
    with pytest.raises(TypeError, match="predictions of two tasks cannot be compared"):
        gain_of(classes([True]), texts([1.0], [1]))
