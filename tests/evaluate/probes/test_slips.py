"""Slips keep what a text says, are where they should be, and come again with the same seed."""

from __future__ import annotations

import unicodedata
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zogan.evaluate.probes.slips import SLIPS, case, kana, narrow, punctuation, spacing, typing, width


def every(slip: str, text: str) -> set[str]:
    """All that a slip makes of a text over some seeds."""
    return {SLIPS[slip](text, np.random.default_rng(seed)) for seed in range(60)}  # type: ignore[index]


def test_typing() -> None:
    found = every("typing", "my parcel")
    assert "my parcel" not in found
    assert all(text.startswith("my p") and text.endswith("l") for text in found)
    assert {"my pracel", "my prcel", "my paarcel"} <= found
    assert every("typing", "a be see 1234567") == {"a be see 1234567"}


def test_case_spacing_and_punctuation() -> None:
    assert every("case", "Hello you") == {"hello you", "HELLO YOU"}
    assert every("case", "ありがとう") == {"ありがとう"}
    assert every("spacing", "a b") == {"a  b", " a b", "a b  "}
    assert every("punctuation", "Stop!") == {"Stop"}
    assert every("punctuation", "Stop") == {"Stop."}
    assert every("punctuation", "止まれ") == {"止まれ。"}
    assert every("punctuation", "Don’t") == {"Don't", "Don’t."}
    assert every("punctuation", "Why?") == {"Why?"}


def test_japanese_width_and_kana() -> None:
    assert every("width", "ABC 12") == {"ABC 12"}
    assert every("width", "ガスABCの件") == {"ガスＡＢＣの件", "ｶﾞｽABCの件"}
    assert every("kana", "ケーキを買う") == {"けーきを買う"}
    assert every("kana", "カメラを買う") == {"かめらを買う"}
    assert every("kana", "ありがとう") == {"アリガトウ"}
    assert every("kana", "plain") == {"plain"}
    assert narrow("ガギグパピプカナ。") == "ｶﾞｷﾞｸﾞﾊﾟﾋﾟﾌﾟｶﾅ｡"


@given(st.text(max_size=40), st.integers(0, 9))
def test_what_is_said_stays(text: str, seed: int) -> None:
    generator = np.random.default_rng(seed)
    assert case(text, generator).casefold().lower() in (text.casefold().lower(), text.lower(), text.upper().casefold())
    assert "".join(spacing(text, generator).split()) == "".join(text.split())
    assert unicodedata.normalize("NFKC", width(text, generator)) == unicodedata.normalize("NFKC", text)
    assert len(kana(text, generator)) == len(text)
    assert abs(len(typing(text, generator)) - len(text)) <= 1
    letters = Counter(char for char in text if char.isalnum())
    assert Counter(char for char in punctuation(text, generator) if char.isalnum()) == letters


@pytest.mark.parametrize("slip", SLIPS)
def test_the_same_seed_slips_alike(slip: str) -> None:
    text = "Where is カメラ number twelve"
    first, second = (SLIPS[slip](text, np.random.default_rng(3)) for _ in range(2))  # type: ignore[index]
    assert first == second
