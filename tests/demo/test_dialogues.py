"""Dialogues: cleaned, and cut so that nothing of one part is nearly in another."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from zogan.data.rows import Place, dialogue
from zogan.demo.dialogues import alike, clean, cut

WORDS = st.lists(st.sampled_from(["red", "blue", "green", "black", "white"]), min_size=1, max_size=4).map(" ".join)
PAIRS = st.lists(st.tuples(WORDS, WORDS), max_size=25)


def test_each_reason_is_told() -> None:
    pairs = [("Hi", "Hello"), ("hi!", "hello."), ("Hi", "..."), ("Tell me", "so " * 61)]
    rows, dropped = clean([dialogue(prompt, answer, Place("t", 1)) for prompt, answer in pairs])
    assert [row.target for row in rows] == ["Hello"]
    assert {one.name: one.count for one in dropped} == {"blank": 1, "duplicate": 1, "long": 1}


def test_what_is_nearly_the_same_is_grouped() -> None:
    pairs = [
        ("What is a computer?", "A machine."),
        ("what is a computer", "A thing."),
        ("Who are you?", "a thing!"),
        ("Can you sing?", "I have not been programmed to sing yet, sorry."),
        ("Can you dance?", "I have not been programmed to sing yet."),
        ("Hello", "Hi"),
    ]
    assert alike([dialogue(prompt, answer, Place("t", 1)) for prompt, answer in pairs]) == [[0, 1, 2], [3, 4], [5]]


@settings(max_examples=50, deadline=None)
@given(PAIRS, st.integers(0, 9))
def test_parts_share_no_prompt_and_no_answer(pairs: list[tuple[str, str]], seed: int) -> None:
    rows = [dialogue(prompt, answer, Place("t", 1)) for prompt, answer in pairs]
    parts = cut(rows, (10, 3, 5), seed)
    assert [len(part) <= size for part, size in zip(parts, (10, 3, 5), strict=True)] == [True] * 3
    for one, other in combinations(parts, 2):
        assert {frozenset(row.input.split()) for row in one}.isdisjoint(frozenset(row.input.split()) for row in other)
        assert {frozenset(row.target.split()) for row in one}.isdisjoint(frozenset(row.target.split()) for row in other)
    assert parts == cut(rows, (10, 3, 5), seed)
