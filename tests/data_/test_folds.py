"""Folds: every class in proportion, an input in one of them alone, the same from the same seed."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import dialogue_rows
from zogan.data.folds import folds
from zogan.data.rows import Place, Row, TextRow
from zogan.errors import DataError


def rows_of(counts: list[int]) -> list[TextRow]:
    labels = [f"class {label}" for label, count in enumerate(counts) for _ in range(count)]
    return [TextRow(f"text {index}", label, Place("a.jsonl", index + 1)) for index, label in enumerate(labels)]


@given(st.lists(st.integers(2, 12), min_size=1, max_size=5), st.integers(2, 5), st.integers(0, 9))
def test_every_row_stands_in_one_fold_and_classes_in_proportion(counts: list[int], number: int, seed: int) -> None:
    rows = rows_of(counts)
    if len(rows) < number:
        return
    parts = folds(rows, number, seed=seed, where="train.folds")
    assert sorted(row for part in parts for row in part) == list(range(len(rows)))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    for label in {row.label for row in rows}:
        of_class = [sum(rows[row].label == label for row in part) for part in parts]
        assert max(of_class) - min(of_class) <= 1
        assert max(of_class) < sum(of_class), "a class would be held out whole"
    assert parts == folds(rows, number, seed=seed, where="train.folds")


def test_one_input_stays_together_and_a_lone_one_is_never_held_out() -> None:
    rows = rows_of([6, 6])
    rows += [TextRow("Text  0", "class 1", Place("a.jsonl", 50)), TextRow("alone", "rare", Place("a.jsonl", 51))]
    parts = folds(rows, 3, seed=0, where="train.folds")
    (with_first,) = [part for part in parts if 0 in part]
    assert 12 in with_first
    assert all(13 not in part for part in parts)


def test_dialogues_are_cut_plainly_and_the_seed_decides() -> None:
    rows: list[Row] = list(dialogue_rows(10))
    first, other = folds(rows, 5, seed=0, where="x"), folds(rows, 5, seed=1, where="x")
    assert Counter(map(len, first)) == {2: 5}
    assert first != other


def test_too_few_inputs_are_refused() -> None:
    with pytest.raises(DataError, match=r"train\.folds: 4 different inputs.* cannot be cut into 5 folds"):
        folds(rows_of([4, 1]), 5, seed=0, where="train.folds")
