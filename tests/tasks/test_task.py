"""Predictions."""

from __future__ import annotations

import numpy as np

from zogan.tasks.task import ClassPredictions


def test_the_choice_is_the_likeliest_label() -> None:
    probabilities = np.array([[0.2, 0.8], [0.9, 0.1]])
    predictions = ClassPredictions(("no", "yes"), np.array([0, 0]), probabilities, np.zeros(2))
    assert predictions.choice.tolist() == [1, 0]
    assert predictions.choice.dtype == np.int64
