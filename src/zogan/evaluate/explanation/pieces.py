"""Tokens as pieces of text that a reader can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_TORN = "\N{REPLACEMENT CHARACTER}"


def pieces(tokenizer: Any, ids: Sequence[int]) -> list[tuple[str, range]]:
    """What each token adds to the text; tokens that make one character together are one piece.

    Args:
        tokenizer: that made them.
        ids: the tokens, in their order.

    Returns:
        Pairs of a piece and the places of its tokens, which cover all.
    """
    found: list[tuple[str, range]] = []
    shown, start = "", 0
    for stop in range(1, len(ids) + 1):
        text = _decoded(tokenizer, ids[:stop])
        if text.endswith(_TORN) and stop < len(ids):
            continue
        # A tokenizer may write what stands before anew once more follows: then the token's own text has to do.
        added = text[len(shown) :] if text.startswith(shown) else _decoded(tokenizer, ids[start:stop])
        found.append((added, range(start, stop)))
        shown, start = text, stop
    return found


def _decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))
