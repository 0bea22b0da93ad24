"""Batches: every row once, none too large, none too many, like lengths together."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zogan.data.batch import bucketed, ordered

LENGTHS = st.lists(st.integers(1, 500), max_size=300)


@given(LENGTHS, st.integers(1, 40), st.integers(0, 5), st.integers(0, 5))
def test_every_row_once_in_few_full_batches(lengths: list[int], size: int, seed: int, epoch: int) -> None:
    for batches in (bucketed(lengths, size, seed=seed, epoch=epoch), ordered(lengths, size)):
        assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
        assert all(1 <= len(batch) <= size for batch in batches)
        assert len(batches) == math.ceil(len(lengths) / size)


@given(LENGTHS, st.integers(1, 40), st.integers(0, 5))
def test_an_epoch_has_its_own_order(lengths: list[int], size: int, seed: int) -> None:
    assert bucketed(lengths, size, seed=seed, epoch=1) == bucketed(lengths, size, seed=seed, epoch=1)


def test_order_changes_with_seed_and_epoch() -> None:
    lengths = list(range(100))
    orders = [bucketed(lengths, 8, seed=seed, epoch=epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_little_is_padded() -> None:
    lengths = [1 + (index * 7919) % 200 for index in range(2000)]
    batches = bucketed(lengths, 16, seed=0, epoch=0)
    computed = sum(len(batch) * max(lengths[index] for index in batch) for batch in batches)
    assert computed < 1.05 * sum(lengths)


@given(LENGTHS, st.integers(1, 40))
def test_evaluation_starts_with_the_longest(lengths: list[int], size: int) -> None:
    flat = [lengths[index] for batch in ordered(lengths, size) for index in batch]
    assert flat == sorted(lengths, reverse=True)


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_holds_a_row(size: int) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        bucketed([1, 2], size, seed=0, epoch=0)
