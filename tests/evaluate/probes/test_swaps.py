"""Words change places whole, in their case, and both ways at once."""

from __future__ import annotations

from zogan.evaluate.probes.swaps import swapper


def test_whole_words_in_their_case() -> None:
    swap = swapper({"he": "she", "Mr.": "Mrs.", "his": "her"})
    assert swap("He said she knows the other; HE, his") == "She said he knows the other; SHE, her"
    assert swap("Mr. and Mrs. Hesse") == "Mrs. and Mr. Hesse"
    assert swap(swap("he and she")) == "he and she"


def test_japanese_stands_anywhere_and_the_longest_goes_first() -> None:
    swap = swapper({"彼": "彼女", "父": "母"})
    assert swap("彼女の父と彼") == "彼の母と彼女"
