"""Batches: every row once, none too large, none too many, like lengths together."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zogan.config import EvaluateConfig, TrainConfig
from zogan.data.batch import Tokens, batch_counts, batch_size, bucketed, ordered

LENGTHS = st.lists(st.integers(1, 500), max_size=300)
SIZES = st.integers(1, 40) | st.integers(1, 2000).map(Tokens)


@given(LENGTHS, st.integers(1, 40), st.integers(0, 5), st.integers(0, 5))
def test_every_row_once_in_few_full_batches(lengths: list[int], size: int, seed: int, epoch: int) -> None:
    for batches in (bucketed(lengths, size, seed=seed, epoch=epoch), ordered(lengths, size)):
        assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
        assert all(1 <= len(batch) <= size for batch in batches)
        assert len(batches) == math.ceil(len(lengths) / size)


@given(LENGTHS, st.integers(1, 2000), st.integers(0, 5), st.integers(0, 5))
def test_every_row_once_within_the_budget(lengths: list[int], budget: int, seed: int, epoch: int) -> None:
    for batches in (bucketed(lengths, Tokens(budget), seed=seed, epoch=epoch), ordered(lengths, Tokens(budget))):
        assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
        for batch in batches:
            assert batch
            assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= budget


@given(LENGTHS, st.integers(1, 2000), st.integers(0, 5), st.integers(0, 5))
def test_packed_rows_add_up_to_the_budget(lengths: list[int], budget: int, seed: int, epoch: int) -> None:
    size = Tokens(budget, packed=True)
    batches = bucketed(lengths, size, seed=seed, epoch=epoch)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or sum(lengths[index] for index in batch) <= budget for batch in batches)
    assert batch_counts(lengths, size, seed=seed, epochs=epoch + 1)[epoch] == len(batches)


@given(LENGTHS, st.integers(1, 2000))
def test_a_batch_is_closed_only_where_the_next_row_does_not_fit(lengths: list[int], budget: int) -> None:
    batches = ordered(lengths, Tokens(budget))
    for batch in batches[:-1]:
        assert (len(batch) + 1) * lengths[batch[0]] > budget


@given(LENGTHS, SIZES, st.integers(0, 5), st.integers(1, 3))
def test_the_number_of_batches_is_known_before(lengths: list[int], size: int | Tokens, seed: int, epochs: int) -> None:
    found = [len(bucketed(lengths, size, seed=seed, epoch=epoch)) for epoch in range(epochs)]
    assert batch_counts(lengths, size, seed=seed, epochs=epochs) == found


@given(LENGTHS, SIZES, st.integers(0, 5))
def test_an_epoch_has_its_own_order(lengths: list[int], size: int | Tokens, seed: int) -> None:
    assert bucketed(lengths, size, seed=seed, epoch=1) == bucketed(lengths, size, seed=seed, epoch=1)


@pytest.mark.parametrize("size", [8, Tokens(300)])
def test_order_changes_with_seed_and_epoch(size: int | Tokens) -> None:
    lengths = list(range(100))
    orders = [bucketed(lengths, size, seed=seed, epoch=epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert orders[0] != orders[1] != orders[2] != orders[0]


@pytest.mark.parametrize("size", [16, Tokens(1600)])
def test_little_is_padded(size: int | Tokens) -> None:
    lengths = [1 + (index * 7919) % 200 for index in range(2000)]
    batches = bucketed(lengths, size, seed=0, epoch=0)
    computed = sum(len(batch) * max(lengths[index] for index in batch) for batch in batches)
    assert computed < 1.05 * sum(lengths)


@given(LENGTHS, SIZES)
def test_evaluation_starts_with_the_longest(lengths: list[int], size: int | Tokens) -> None:
    flat = [lengths[index] for batch in ordered(lengths, size) for index in batch]
    assert flat == sorted(lengths, reverse=True)


@pytest.mark.parametrize("size", [0, -1, Tokens(0)])
def test_a_batch_holds_a_row(size: int | Tokens) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        bucketed([1, 2], size, seed=0, epoch=0)
    with pytest.raises(ValueError, match="must be at least 1"):
        batch_counts([1, 2], size, seed=0, epochs=1)


def test_tokens_come_before_rows() -> None:
    assert batch_size(TrainConfig(batch_size=4)) == 4
    assert batch_size(TrainConfig(batch_size=4, tokens_per_batch=100)) == Tokens(100)
    assert batch_size(TrainConfig(tokens_per_batch=100, packing=True)) == Tokens(100, packed=True)
    assert batch_size(EvaluateConfig(batch_size=4, tokens_per_batch=100)) == Tokens(100)
