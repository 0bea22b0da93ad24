"""Confident learning: rows that were labelled wrong on purpose are found, and the rule is that of the paper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zogan.data.doubts import doubted


def test_a_row_surer_of_another_class_is_doubted() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4]])
    found = doubted(probabilities, np.array([0, 0, 0, 1, 1, 1]))
    # Thresholds: 0.6 and 0.63. Row 2 is less sure of class 0 and surer of 1; row 5 is less sure of 1 and as sure of 0.
    assert found.rows == (2, 5)
    assert found.suggested == (1, 0)
    # Confident joint: [[2, 1], [1, 2]].
    assert found.expected_share == pytest.approx(1 / 3)


def test_doubting_the_own_label_is_not_enough() -> None:
    probabilities = np.array([[0.9, 0.05, 0.05], [0.4, 0.3, 0.3], [0.05, 0.9, 0.05], [0.05, 0.05, 0.9]])
    found = doubted(probabilities, np.array([0, 0, 1, 2]))
    assert found.rows == ()
    assert found.expected_share == 0.0


@settings(deadline=None)
@given(st.integers(0, 50), st.integers(2, 5))
def test_it_is_the_rule_row_by_row(seed: int, classes: int) -> None:
    draw = np.random.default_rng(seed)
    given = np.concatenate([np.arange(classes), draw.integers(0, classes, 40)])
    probabilities = draw.dirichlet(np.ones(classes), len(given))
    found = doubted(probabilities, given)
    thresholds = [probabilities[given == label, label].mean() for label in range(classes)]
    expected = {}
    for row, label in enumerate(given):
        over = [other for other in range(classes) if probabilities[row, other] >= thresholds[other] - 1e-12]
        if probabilities[row, label] < thresholds[label] - 1e-12 and over:
            expected[row] = max(over, key=lambda other, row=row: probabilities[row, other])  # type: ignore[misc]
    assert dict(zip(found.rows, found.suggested, strict=True)) == expected
    own = [probabilities[row, given[row]] for row in found.rows]
    assert own == sorted(own)
    assert 0.0 <= found.expected_share <= 1.0


def test_labels_that_were_flipped_are_found_and_their_share_is_told() -> None:
    draw = np.random.default_rng(0)
    truth = np.repeat(np.arange(3), 100)
    given = truth.copy()
    flipped = draw.choice(300, 30, replace=False)
    given[flipped] = (given[flipped] + 1) % 3
    probabilities = np.full((300, 3), 0.1) + 0.7 * np.eye(3)[truth] + 0.02 * draw.random((300, 3))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    found = doubted(probabilities, given)
    assert set(found.rows) >= set(flipped.tolist())
    assert found.expected_share == pytest.approx(0.1, abs=0.02)
    assert all(truth[row] == label for row, label in zip(found.rows, found.suggested, strict=True) if row in flipped)
