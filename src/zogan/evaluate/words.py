"""Words of any script, for metrics that compare them."""

from __future__ import annotations

import re
import unicodedata

_UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f"  # Myanmar
    "\u1780-\u17ff"  # Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
_TOKEN = re.compile(f"[{_UNSPACED}]|[^\\s{_UNSPACED}]+")


class Words:
    """Tokenizer for rouge-score: lower-case words; single characters in scripts written without spaces.

    The library's own keeps a-z and 0-9 alone, so that every Japanese answer would score nothing.
    """

    def tokenize(self, text: str) -> list[str]:
        """The words, without punctuation and symbols."""
        folded = unicodedata.normalize("NFKC", text).casefold()
        spaced = "".join(char if unicodedata.category(char)[0] in "LMN" else " " for char in folded)
        return _TOKEN.findall(spaced)
