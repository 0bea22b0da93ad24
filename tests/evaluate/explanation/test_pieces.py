"""Tokens as a reader reads them."""

from __future__ import annotations

import pytest

from tiny import tiny_tokenizer
from zogan.evaluate.explanation.pieces import pieces


@pytest.mark.parametrize("text", ["where is my card", "お問い合わせ、宛先", "a  b\nc", "naïve 🙂 end", "x"])
def test_pieces_are_the_text_and_cover_all_tokens(text: str) -> None:
    tokenizer = tiny_tokenizer(decoder=True)
    ids = tokenizer(text)["input_ids"]
    found = pieces(tokenizer, ids)
    assert "".join(piece for piece, _ in found) == text
    assert [place for _, span in found for place in span] == list(range(len(ids)))
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece, _ in found)


def test_a_character_of_several_tokens_is_one_piece() -> None:
    tokenizer = tiny_tokenizer(decoder=True)
    ids = tokenizer("🙂")["input_ids"]
    assert len(ids) > 1
    assert pieces(tokenizer, ids) == [("🙂", range(len(ids)))]


def test_a_text_that_ends_within_a_character_keeps_its_tokens() -> None:
    tokenizer = tiny_tokenizer(decoder=True)
    ids = tokenizer("a🙂")["input_ids"][:-1]
    assert [place for _, span in pieces(tokenizer, ids) for place in span] == list(range(len(ids)))


class Rewriting:
    """A tokenizer that writes what stands before anew."""

    def decode(self, ids: list[int], **_: object) -> str:
        return "ab" if ids == [1, 2] else {1: "A", 2: "b"}[ids[0]]


def test_a_text_that_is_written_anew_falls_back_on_the_tokens() -> None:
    assert pieces(Rewriting(), [1, 2]) == [("A", range(1)), ("b", range(1, 2))]
