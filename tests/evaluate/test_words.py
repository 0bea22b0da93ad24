"""Words of any script."""

from __future__ import annotations

import pytest

from zogan.evaluate.words import Words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The card, please!", ["the", "card", "please"]),
        ("don't 42", ["don", "t", "42"]),
        ("カードを再発行。", ["カ", "ー", "ド", "を", "再", "発", "行"]),
        ("ﾃｽﾄ ＡＢＣ", ["テ", "ス", "ト", "abc"]),
        ("新しいPINコード", ["新", "し", "い", "pin", "コ", "ー", "ド"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert Words().tokenize(text) == words
