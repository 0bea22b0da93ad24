"""Slips that a reader passes over: each turns a text into another that says the same, or leaves it as it is."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping

import numpy as np

from zogan.config import RobustnessKind

Slip = Callable[[str, np.random.Generator], str]
"""From a text to the same with a slip in it; the text itself where there is no place for one."""

_WORD = re.compile(r"[^\W\d_]{4,}")
_SPACES = re.compile(r"[ \u3000]+")
_JAPANESE = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uff66-\uff9f]")
_HIRAGANA, _KATAKANA = re.compile(r"[\u3041-\u3096]{2,}"), re.compile(r"[\u30a1-\u30f6][\u30a1-\u30f6ー]+")
_KANA_APART = 0x30A1 - 0x3041
_WIDE_APART = 0xFF01 - 0x21

_HALF = {unicodedata.normalize("NFKC", chr(code)): chr(code) for code in range(0xFF61, 0xFF9E)}
_HALF |= {"\u3099": "ﾞ", "\u309a": "ﾟ"}
"""Katakana and its marks, full width to half."""


def typing(text: str, generator: np.random.Generator) -> str:
    """In one word of four letters or more, two neighbours change places, or one letter is left out or doubled."""
    words = [found for found in _WORD.finditer(text) if len(set(found[0][1:-1])) > 1]
    if not words:
        return text
    word = words[generator.integers(len(words))]
    inner = range(word.start() + 1, word.end() - 2)
    places = [at for at in inner if text[at] != text[at + 1]]
    at = places[generator.integers(len(places))]
    kind = generator.integers(3)
    if kind == 0:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + text[at + 1 :] if kind == 1 else text[:at] + text[at] + text[at:]


def case(text: str, generator: np.random.Generator) -> str:
    """All in lower case or all in upper case, whichever is another text; either where both are."""
    others = [other for other in (text.lower(), text.upper()) if other != text]
    return others[generator.integers(len(others))] if others else text


def spacing(text: str, generator: np.random.Generator) -> str:
    """A space is doubled, or stands before or behind; Japanese also gets one within."""
    gaps = [found.start() for found in _SPACES.finditer(text)]
    kind = generator.integers(3)
    if kind == 0 and gaps:
        at = gaps[generator.integers(len(gaps))]
        return f"{text[:at]} {text[at:]}"
    if kind == 0 and len(text) > 1 and _JAPANESE.search(text):
        at = int(generator.integers(1, len(text)))
        return f"{text[:at]} {text[at:]}"
    return f" {text}" if kind == 1 else f"{text}  "


def punctuation(text: str, generator: np.random.Generator) -> str:
    """The closing mark goes, or one comes where there was none; quotes and dots take their other form."""
    japanese = bool(_JAPANESE.search(text))
    straight = text.translate(str.maketrans("’‘“”", "''\"\"")).replace("…", "...")
    if straight != text and generator.integers(2):
        return straight
    bare = text.rstrip().rstrip(".!。！")
    if bare and bare != text.rstrip():
        return bare
    if text.rstrip()[-1:].isalnum():
        return text.rstrip() + ("。" if japanese else ".")
    return straight


def width(text: str, generator: np.random.Generator) -> str:
    """Japanese: letters, digits and marks of ASCII in full width, or katakana in half width."""
    if not _JAPANESE.search(text):
        return text
    wide = "".join(chr(ord(char) + _WIDE_APART) if "!" <= char <= "~" else char for char in text)
    half = _KATAKANA.sub(lambda found: narrow(found[0]), text)
    folded = unicodedata.normalize("NFKC", text)
    others = [other for other in dict.fromkeys((wide, half, folded)) if other != text]
    return others[generator.integers(len(others))] if others else text


def kana(text: str, generator: np.random.Generator) -> str:
    """Japanese: a word in katakana is in hiragana instead, or where there is none the other way about."""
    for pattern, apart in ((_KATAKANA, -_KANA_APART), (_HIRAGANA, _KANA_APART)):
        words = list(pattern.finditer(text))
        if words:
            word = words[generator.integers(len(words))]
            other = "".join(char if char == "ー" else chr(ord(char) + apart) for char in word[0])
            return text[: word.start()] + other + text[word.end() :]
    return text


def narrow(text: str) -> str:
    """Katakana in half width, with its marks behind it; all else as it is."""
    return "".join(_HALF.get(char, char) for char in unicodedata.normalize("NFD", text))


SLIPS: Mapping[RobustnessKind, Slip] = {
    "typing": typing,
    "case": case,
    "spacing": spacing,
    "punctuation": punctuation,
    "width": width,
    "kana": kana,
}
