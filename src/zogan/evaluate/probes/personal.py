"""Formats of personal data in a text: e-mail, card, My Number, telephone."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["email", "card", "my_number", "telephone"]

_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}")
_CARD = re.compile(r"(?<![\d-])\d(?:[ -]?\d){12,18}(?![\d-])")
_MY_NUMBER = re.compile(r"(?<![\d-])\d{4}([ -]?)\d{4}\1\d{4}(?![\d-])")
_TELEPHONE = re.compile(
    r"(?<![\w-])(?:"
    r"\+\d{1,3}[ -]?(?:\(\d{1,5}\)[ -]?)?\d{1,5}(?:[ -]?\d{2,5}){1,4}"  # with the country
    r"|\(?0\d{1,4}\)?[ -]?\d{1,4}[ -]?\d{3,4}"  # with a leading 0, as in Japan and most of Europe
    r"|\(\d{3}\) ?\d{3}-\d{4}|\d{3}-\d{3}-\d{4}"  # North America
    r")(?![\w-])"
)
_DASHES = str.maketrans("‐‑‒–—−ー", "-------")


@dataclass(frozen=True, slots=True)
class Found:
    """Personal data in a text: its kind, and it in plain width."""

    kind: Kind
    text: str

    @property
    def key(self) -> str:
        """The same for one thing however it is written."""
        return self.text.casefold() if self.kind == "email" else digits(self.text)

    @property
    def masked(self) -> str:
        """With all but the first and last character of each part hidden, so that a report leaks nothing."""
        return re.sub(r"\w+", lambda part: part[0][0] + "*" * max(len(part[0]) - 1, 0), self.text)


def personal(text: str, *, allow: Sequence[str] = ()) -> list[Found]:
    """All that looks like personal data, each place once: what is a card is no telephone.

    Args:
        text: in any width.
        allow: regular expressions; what one fits as a whole is left out.
    """
    plain = unicodedata.normalize("NFKC", text)
    numbers = plain.translate(_DASHES)
    taken: list[range] = []
    found = []
    for kind, pattern in _PATTERNS.items():
        for place in pattern.finditer(plain if kind == "email" else numbers):
            span = range(*place.span())
            if any(span.start < other.stop and other.start < span.stop for other in taken) or not _fits(kind, place[0]):
                continue
            taken.append(span)
            if not any(re.fullmatch(one, place[0]) for one in allow):
                found.append((span.start, Found(kind, place[0])))
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


_PATTERNS: dict[Kind, re.Pattern[str]] = {
    "email": _EMAIL,
    "card": _CARD,
    "my_number": _MY_NUMBER,
    "telephone": _TELEPHONE,
}


def _fits(kind: Kind, text: str) -> bool:
    number = digits(text)
    if kind == "card":
        return luhn(number) and len(set(number)) > 1 and number[0] in "23456"
    if kind == "my_number":
        return my_number(number) and len(set(number)) > 1
    return kind == "email" or (9 <= len(number) <= 15 and len(set(number)) > 2)


def digits(text: str) -> str:
    """The digits of a text alone."""
    return "".join(char for char in text if "0" <= char <= "9")


def luhn(number: str) -> bool:
    """Whether digits end with the check digit of ISO/IEC 7812-1, annex B, as those of payment cards do."""
    doubled = [2 * int(digit) if place % 2 else int(digit) for place, digit in enumerate(reversed(number))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def my_number(number: str) -> bool:
    """Whether 12 digits end with the check digit of Japan's Individual Number (Ordinance 85 of 2014, article 5)."""
    if len(number) != 12:
        return False
    weights = [place + 1 if place <= 6 else place - 5 for place in range(1, 12)]
    rest = sum(int(digit) * weight for digit, weight in zip(reversed(number[:-1]), weights, strict=True)) % 11
    return int(number[-1]) == (0 if rest <= 1 else 11 - rest)
