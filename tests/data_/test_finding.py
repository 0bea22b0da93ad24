"""Findings: counts of all, examples of a few, excerpts on one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import text_rows
from zogan.data.finding import Finding, excerpt, finding, listed


def test_all_are_counted_and_a_few_shown() -> None:
    found = finding("rare", "info", "rows", text_rows(9), "kept")
    assert (found.count, len(found.examples)) == (9, 5)
    assert found.examples[0].place == "train.jsonl:1"
    assert found.examples[0].text == "late late number 0 → bad"
    assert Finding.model_validate_json(found.model_dump_json()) == found


@given(st.text(), st.integers(2, 40))
def test_an_excerpt_is_one_short_line(text: str, length: int) -> None:
    short = excerpt(text, length)
    assert len(short) <= length
    assert short == " ".join(short.split())


def test_what_is_left_out_shows() -> None:
    assert excerpt("abc" * 100, 10) == "abcabcabc…"
    assert excerpt(" " * 100 + "x", 10).endswith("…")
    assert excerpt("a b", 3) == "a b"


@pytest.mark.parametrize(("count", "said"), [(2, "0, 1"), (9, "0, 1, 2, 3, 4, 5, 6, 7 and 1 more")])
def test_long_lists_are_cut(count: int, said: str) -> None:
    assert listed([str(index) for index in range(count)]) == said
