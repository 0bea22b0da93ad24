"""Splits: nothing lost, nothing on both sides, classes in proportion, the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zogan.data.rows import Place, Row, TextRow, dialogue
from zogan.data.split import stratified


def rows_of(pairs: list[tuple[int, str]]) -> list[Row]:
    return [TextRow(f"text {text}", label, Place("t", line)) for line, (text, label) in enumerate(pairs, 1)]


PAIRS = st.lists(st.tuples(st.integers(0, 60), st.sampled_from("abc")), max_size=80)


@given(PAIRS, st.floats(0.05, 0.6), st.integers(0, 2**31))
def test_each_row_lands_once_and_no_input_on_both_sides(pairs: list[tuple[int, str]], share: float, seed: int) -> None:
    rows = rows_of(pairs)
    rest, cut = stratified(rows, share, seed)
    assert sorted((*rest, *cut), key=lambda row: row.place.line) == rows
    assert {row.key for row in rest}.isdisjoint(row.key for row in cut)
    assert list(rest) == sorted(rest, key=lambda row: row.place.line)
    assert (rest, cut) == stratified(rows, share, seed)
    assert rest or not rows


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_classes_keep_their_proportion(share: float) -> None:
    rows = rows_of([(index, "a" if index % 4 else "b") for index in range(400)])
    _, cut = stratified(rows, share, 0)
    assert Counter(row.target for row in cut) == {"a": 300 * share, "b": 100 * share}


def test_a_class_of_one_stays() -> None:
    rest, cut = stratified(rows_of([(0, "rare"), *((index, "a") for index in range(1, 30))]), 0.4, 3)
    assert "rare" in {row.target for row in rest}
    assert len(cut) == 12


def test_small_classes_share_what_is_left_over() -> None:
    rows = rows_of([(index, f"class {index % 20}") for index in range(100)])
    _, cut = stratified(rows, 0.1, 0)
    assert len(cut) == 10
    assert max(Counter(row.target for row in cut).values()) == 1


def test_another_seed_cuts_otherwise() -> None:
    rows = rows_of([(index, "a") for index in range(100)])
    assert stratified(rows, 0.2, 0) != stratified(rows, 0.2, 1)


def test_dialogues_are_cut_without_classes() -> None:
    rows = [dialogue(f"prompt {index // 2}", f"answer {index}", Place("t", index)) for index in range(100)]
    rest, cut = stratified(rows, 0.2, 0)
    assert (len(rest), len(cut)) == (80, 20)
    assert {row.key for row in rest}.isdisjoint(row.key for row in cut)


def test_no_rows() -> None:
    assert stratified([], 0.2, 0) == ((), ())


def test_the_hash_seed_does_not_matter() -> None:
    program = (
        "from zogan.data.rows import Place, TextRow; from zogan.data.split import stratified;"
        "rows = [TextRow(f't{i}', 'abc'[i % 3], Place('t', i)) for i in range(60)];"
        "print([row.place.line for row in stratified(rows, 0.3, 7)[1]])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
