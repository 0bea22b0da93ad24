"""Classes made even: each weighs the same, or is drawn as often, and no row is left out for good."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_sample_weight

from zogan.data.balance import drawn, row_weights, shares

CLASSES = st.lists(st.integers(0, 5), min_size=1, max_size=60)


@given(CLASSES)
def test_each_class_weighs_the_same_and_a_row_one_in_the_mean(classes: list[int]) -> None:
    weights = row_weights(classes)
    assert weights.mean() == pytest.approx(1.0)
    sums = [weights[np.asarray(classes) == label].sum() for label in set(classes)]
    assert sums == pytest.approx([sums[0]] * len(sums))
    assert weights == pytest.approx(compute_sample_weight("balanced", classes))


def test_no_rows_have_no_weights() -> None:
    assert len(row_weights([])) == 0
    assert drawn([], seed=0, epoch=0) == []


@given(CLASSES, st.integers(0, 9), st.integers(0, 1 << 20))
def test_an_epoch_is_as_long_and_holds_the_classes_evenly(classes: list[int], seed: int, epoch: int) -> None:
    rows = drawn(classes, seed=seed, epoch=epoch)
    assert len(rows) == len(classes)
    counts = Counter(classes[row] for row in rows)
    assert counts == +Counter(shares(classes, seed=seed))
    assert max(counts.values()) - min(counts.get(label, 0) for label in set(classes)) <= 1
    assert rows == drawn(classes, seed=seed, epoch=epoch)


@given(CLASSES, st.integers(0, 9), st.integers(1, 8))
def test_over_the_epochs_each_row_of_a_class_comes_as_often(classes: list[int], seed: int, epochs: int) -> None:
    times = Counter(row for epoch in range(epochs) for row in drawn(classes, seed=seed, epoch=epoch))
    for label in set(classes):
        of_class = [times[row] for row, other in enumerate(classes) if other == label]
        assert max(of_class) - min(of_class) <= 1


def test_the_seed_decides_and_epochs_differ() -> None:
    classes = [0] * 90 + [1] * 10
    first = drawn(classes, seed=0, epoch=0)
    assert set(first) & set(range(90)) != set(drawn(classes, seed=0, epoch=1)) & set(range(90))
    assert first != drawn(classes, seed=1, epoch=0)
    assert Counter(first)[95] == 5
