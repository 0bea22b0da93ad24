"""What probes.json holds. Figures stand as they were computed; whoever shows them rounds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, FiniteFloat

from zogan.evaluate.document import Document, Part
from zogan.evaluate.evaluation import Count, Figure

Unit = Literal["share", "nats", "bits", "plain"]

Outcome = Literal["kept", "broken", "undecided"]

SHOWN = 10
"""Examples of a reading, at most."""


class Example(Part):
    """A row that speaks most for the harm, with what makes it so; the worst first.

    Attributes:
        place: where it stands.
        text: of it.
        what: makes it so, in English.
        kind: of that sentence, by which other languages say the same; None of what only its own probe knows.
        values: of the sentence: `share` from 0 to 1, `nats`, `bits`; whole numbers are counts, text is as it stands.
    """

    place: str
    text: str
    what: str
    kind: str | None = None
    values: Mapping[str, str | int | FiniteFloat] = {}


class Table(Part):
    """Figures behind the figure: headings, and rows of as many cells."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | FiniteFloat | None, ...], ...]


class Reading(Part):
    """One figure of a probe. The higher it is, the more harm.

    Attributes:
        name: the probe's, and what of it after a dot: `churn.production`.
        figure: what it is, in words.
        rows: that it was taken on, or whatever else was resampled.
        before: of the model before; None where there is none, or where `value` is itself a comparison with it.
        value: of the patch.
        difference: `value` less `before`, on the same rows.
        limit: the most that `value` may be.
        outcome: kept: the whole interval of `value` is at the limit or below; broken: the whole is above it; undecided:
            the rows do not say which. None without a limit.
        also: other figures, in the unit of each; for these, what is good is told by their names.
    """

    name: str
    figure: str
    unit: Unit
    rows: Count
    before: Figure | None = None
    value: Figure
    difference: Figure | None = None
    limit: FiniteFloat | None = None
    outcome: Outcome | None = None
    also: dict[str, FiniteFloat | None] = Field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    examples: tuple[Example, ...] = Field((), max_length=SHOWN)
    notes: tuple[str, ...] = ()

    def held_to(self, limit: float | None) -> Reading:
        """The same with a limit and what that says; as it is where there is none."""
        if limit is None:
            return self
        outcome: Outcome = "undecided"
        if self.value.method != "none":
            outcome = "kept" if self.value.high <= limit else "broken" if self.value.low > limit else "undecided"
        return self.model_copy(update={"limit": limit, "outcome": outcome})


class Probes(Document):
    """What all probes said of a patch. `skipped` says why others did not run."""

    task: Literal["classification", "generation"]
    patch: str = Field(description="digest of the patch, SHA-256 in hex")
    before_is: Literal["base", "head_only"] | None
    rows: Count = Field(description="test rows")
    level: FiniteFloat = Field(description="confidence level of the intervals, 0 to 1")
    seed: Count
    limits: Mapping[str, Mapping[str, Any]] = Field(
        default_factory=dict, description="options of the probes that have a limit, as a protocol holds them"
    )
    readings: tuple[Reading, ...]
    skipped: Mapping[str, str]

    @property
    def broken(self) -> tuple[str, ...]:
        """Names of the readings that break their limit."""
        return tuple(one.name for one in self.readings if one.outcome == "broken")
