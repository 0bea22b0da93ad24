"""Every word that a report says, in each language: no other file of the report holds text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from zogan.report.words import en, ja

Language = Literal["en", "ja"]

CATALOGUES: dict[Language, dict[str, str]] = {"en": en.WORDS, "ja": ja.WORDS}


class Words:
    """One language's catalogue, and how it writes numbers.

    Args:
        language: of the catalogue.
        unbroken: keep the spaces at which a line must not break; a terminal has plain ones.
    """

    def __init__(self, language: Language, *, unbroken: bool = False) -> None:
        self.language: Language = language
        self._unbroken = unbroken
        self._words = CATALOGUES[language]

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key, its {places} filled.

        Raises:
            KeyError: a key or place that the catalogue lacks: a fault in the program, found by its tests.
        """
        text = self._words[key]
        if not self._unbroken:
            text = text.replace("\N{NO-BREAK SPACE}", " ")
        return text.format(**values) if values else text

    def has(self, key: str) -> bool:
        """Whether the catalogue has the key; what others name (metrics, findings) may be new to it."""
        return key in self._words

    def name(self, group: str, item: str) -> str:
        """Display name of something that another part named; its own name where the catalogue has none."""
        return self._words.get(f"{group}.{item}", item)

    def number(self, value: float, digits: int = 0) -> str:
        """1,234.5; halves away from 0, as in the charts of slides; what rounds to 0 has no sign"""
        return f"{_above(value):z,.{digits}f}".replace("-", "−")

    def small_number(self, value: float) -> str:
        """0.025 or 0.00125: as many decimals as it has."""
        return f"{value:.6g}"

    def signed(self, value: float, digits: int = 0) -> str:
        """+4.2, −4.2 or 0.0"""
        value = _above(value)
        return f"{value:+,.{digits}f}".replace("-", "−") if round(value, digits) else self.number(value, digits)

    def percent(self, share: float, digits: int = 1) -> str:
        """A share from 0 to 1 as percent."""
        return self("unit.percent", value=self.number(share * 100, digits))

    def small_percent(self, share: float) -> str:
        """A share that may be tiny: two figures that count, at most three decimals."""
        digits = next((count for count in range(3) if share * 100 >= 10 ** (1 - count)), 3)
        value = self.number(share * 100, digits)
        return self("unit.percent", value=value.rstrip("0").rstrip(".") if "." in value else value)

    def moment(self, at: str) -> str:
        """2026-01-02 03:04 UTC, of a time in ISO 8601; what is no such time as it stands."""
        try:
            given = datetime.fromisoformat(at)
        except ValueError:
            return at
        return given.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if given.tzinfo else at

    def duration(self, seconds: float) -> str:
        """3 min 20 s"""
        if seconds < 10:
            return self("unit.seconds", seconds=self.number(seconds, 1))
        whole = round(seconds)
        if whole < 60:
            return self("unit.seconds", seconds=whole)
        if whole < 3600:
            return self("unit.minutes", minutes=whole // 60, seconds=whole % 60)
        return self("unit.hours", hours=self.number(whole // 3600), minutes=whole % 3600 // 60)

    def size(self, count: float) -> str:
        """1.2 MB, decimal units."""
        for unit in ("B", "KB", "MB", "GB"):
            if count < 1000 or unit == "GB":
                digits = 0 if unit == "B" or count >= 100 else 1
                return f"{self.number(count, digits)} {unit}"
            count /= 1000
        raise AssertionError


def _above(value: float) -> float:
    """By so little further from 0 that only a half is rounded otherwise: 84.25 is 84.3, not the even 84.2."""
    return value * (1 + 1e-12)
