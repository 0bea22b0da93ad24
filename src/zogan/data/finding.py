"""What is amiss with some rows, how often, where, and what a run does about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from zogan.data.rows import Row

EXAMPLES = 5
_EXCERPT = 80


class Example(BaseModel):
    """One place where it shows."""

    model_config = ConfigDict(frozen=True)

    place: str
    text: str


class Finding(BaseModel):
    """Something about the data that the user should know.

    A run refuses to start while there is an `error`; a `warning` is worth a look; `info` is for the record.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    severity: Literal["error", "warning", "info"]
    what: str
    count: int
    examples: tuple[Example, ...]
    action: str


def finding(
    name: str,
    severity: Literal["error", "warning", "info"],
    what: str,
    examples: Iterable[Example | Row],
    action: str,
    *,
    count: int | None = None,
) -> Finding:
    """Make a finding of all its examples, of which the first few are kept."""
    every = list(examples)
    shown = tuple(example if isinstance(example, Example) else shown_row(example) for example in every[:EXAMPLES])
    return Finding(
        name=name,
        severity=severity,
        what=what,
        count=len(every) if count is None else count,
        examples=shown,
        action=action,
    )


def shown_row(row: Row, note: str = "") -> Example:
    """A row's place, the start of its input and its target."""
    return Example(place=str(row.place), text=f"{excerpt(row.input)} → {excerpt(row.target, 40)}{note}")


def excerpt(text: str, length: int = _EXCERPT) -> str:
    """The start of a text on one line."""
    line = " ".join(text[: 4 * length].split())
    return line if len(line) <= length and len(text) <= 4 * length else line[: length - 1] + "…"


def listed(words: Sequence[str], most: int = 8) -> str:
    """Names in a sentence, the first few of many."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more
