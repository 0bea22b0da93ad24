"""What a check gives back. Figures stand as they were computed; whoever shows them rounds them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, FiniteFloat

from zogan.evaluate.document import Document, Part
from zogan.evaluate.evaluation import Count
from zogan.train.labels import Doubt

Answer = Literal["suited", "adapters_or_full", "not_enough_data", "not_needed"]

IN_WORDS: dict[Answer, str] = {
    "suited": "suited",
    "adapters_or_full": "likely better with adapters or full tuning",
    "not_enough_data": "not enough data",
    "not_needed": "not needed",
}

Unit = Literal["share", "difference", "points", "nats", "plain"]
"""share: 0 to 1; difference: of two shares, -1 to 1; points: 0 to 100."""


class Told(Part):
    """A figure.

    Attributes:
        what: it is, in words.
        rows: that it was taken on.
        low: lower end of its interval; None where it has none, as is `high`.
    """

    what: str
    unit: Unit
    value: FiniteFloat
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    rows: Count


class Applicability(Document):
    """Whether tuning is worth it, before anything is tuned.

    Attributes:
        reason: for the answer, from the figures.
        notes: what else the user should know.
        rows: of each split; of the test's nothing else is known here.
        level: confidence level of the intervals, 0 to 1.
        figures: by name, in the order in which they are told.
        doubts: training rows whose label others speak against, the least likely label first.
        test_rows_needed: rows that show what is within reach in the protocol's figure; None where that is not known, or
            no number does.
    """

    task: Literal["classification", "generation"]
    base: str = Field(description="fingerprint of the base, SHA-256 in hex")
    answer: Answer
    reason: str
    notes: tuple[str, ...]
    rows: dict[str, Count]
    level: FiniteFloat
    figures: dict[str, Told]
    doubts: tuple[Doubt, ...] = ()
    test_rows_needed: Count | None = None
