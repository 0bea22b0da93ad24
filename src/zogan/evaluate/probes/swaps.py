"""Words changed for others, both ways at once, in the case that they stand in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping


def swapper(swaps: Mapping[str, str]) -> Callable[[str], str]:
    """What changes each word of a mapping for its other, and the other for it.

    Words of letters that are written with spaces are found whole alone; Japanese ones wherever they stand. Longer ones
    go before shorter ones. Where a word is the other of several, the first of these takes its place.

    Args:
        swaps: word to other word.
    """
    others: dict[str, str] = {}
    for word, other in swaps.items():
        others.setdefault(word.casefold(), other)
        others.setdefault(other.casefold(), word)
    ordered = sorted((word for word in others if word), key=len, reverse=True)
    pattern = re.compile("|".join(_found(word) for word in ordered), re.IGNORECASE)
    return lambda text: pattern.sub(lambda found: _cased(found[0], others[found[0].casefold()]), text)


def _found(word: str) -> str:
    whole = re.escape(word)
    return rf"(?<!\w){whole}(?!\w)" if word.isascii() else whole


def _cased(found: str, other: str) -> str:
    if len(found) > 1 and found.isupper():
        return other.upper()
    return other[:1].upper() + other[1:] if found[:1].isupper() else other
