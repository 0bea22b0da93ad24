"""How a figure is shown: on which scale, with how many decimals, and whether more of it is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zogan.report.words import Words

Scale = Literal["share", "points", "plain"]

_SCALES: dict[str, tuple[Scale, int]] = {
    "accuracy": ("share", 1),
    "macro_f1": ("share", 1),
    "exact_match": ("share", 1),
    "rouge_l": ("share", 1),
    "chrf": ("points", 1),
    "loss": ("plain", 3),
    "perplexity": ("plain", 2),
}


@dataclass(frozen=True)
class Metric:
    """One figure of an evaluation, and the number of rows it is taken over."""

    name: str
    higher_is_better: bool = True
    rows: int = 0

    @property
    def scale(self) -> Scale:
        """share: 0 to 1, shown in percent; points: 0 to 100; plain: as it is."""
        return _SCALES.get(self.name, ("plain", 3))[0]

    @property
    def digits(self) -> int:
        """Decimals to show."""
        return _SCALES.get(self.name, ("plain", 3))[1]

    def shown(self, value: float) -> float:
        """The value on the scale of the page."""
        return value * 100 if self.scale == "share" else value

    def value(self, value: float, words: Words) -> str:
        """77.0 % or 1.263"""
        return words.percent(value, self.digits) if self.scale == "share" else words.number(value, self.digits)

    def difference(self, value: float, words: Words) -> str:
        """+4.2 points or −1.083"""
        signed = words.signed(self.shown(value), self.digits)
        return signed if self.scale == "plain" else words("unit.points", value=signed)

    def span(self, low: float, high: float, words: Words) -> str:
        """+2.1 to +6.3, with the unit once."""
        digits, (first, last) = self.digits, (self.shown(low), self.shown(high))
        text = words("unit.span", low=words.signed(first, digits), high=words.signed(last, digits))
        return text if self.scale == "plain" else words("unit.points", value=text)

    def interval(self, low: float, high: float, words: Words) -> str:
        """74.6 to 79.3 %"""
        text = words(
            "unit.span",
            low=words.number(self.shown(low), self.digits),
            high=words.number(self.shown(high), self.digits),
        )
        return words("unit.percent", value=text) if self.scale == "share" else text
