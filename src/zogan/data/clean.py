"""Take out what would make training or figures wrong, and say of each row that goes why it went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zogan.data.finding import Example, Finding, finding, shown_row
from zogan.data.rows import DialogueRow, Row, TextRow

SPLITS = ("train", "validation", "test")

# Where a text stands in two splits, the later of these keeps it: figures are worth more than training rows.
_AUTHORITY = ("test", "validation", "train")


def clean(splits: Mapping[str, Sequence[Row]]) -> tuple[dict[str, tuple[Row, ...]], list[Finding], list[Finding]]:
    """Drop empty rows, exact duplicates, and rows whose input also stands in a split that is measured on.

    Args:
        splits: rows by name of the split.

    Returns:
        The rows left, findings on what was dropped, and findings on what was kept although it is odd.
    """
    empty: list[Row] = []
    copies: list[Example] = []
    leaks: dict[tuple[str, str], list[Example]] = {}
    left: dict[str, tuple[Row, ...]] = {}
    several: list[Row] = []
    standing: dict[str, tuple[str, Row]] = {}
    for name in (name for name in _AUTHORITY if name in splits):
        kept: list[Row] = []
        first: dict[tuple[str, str], Row] = {}
        own: dict[str, list[Row]] = {}
        for row in splits[name]:
            if is_empty(row):
                empty.append(row)
                continue
            key = row.key
            if key in standing:
                where, other = standing[key]
                leaks.setdefault((name, where), []).append(shown_row(row, f" (also {other.place})"))
            elif (key, row.target) in first:
                copies.append(shown_row(row, f" (also {first[key, row.target].place})"))
            else:
                first[key, row.target] = row
                own.setdefault(key, []).append(row)
                kept.append(row)
        standing |= {key: (name, rows[0]) for key, rows in own.items()}
        several += [row for rows in own.values() if len(rows) > 1 for row in rows]
        left[name] = tuple(kept)
    dropped = [*_empty(empty), *_copies(copies), *_leaks(leaks)]
    return {name: left[name] for name in splits}, dropped, _several(several)


def is_empty(row: Row) -> bool:
    """Whether a text, label, prompt or answer is blank."""
    if isinstance(row, DialogueRow):
        return not all(message.content.strip() for message in row.messages)
    return not row.text.strip() or not row.label.strip()


def _empty(rows: Sequence[Row]) -> list[Finding]:
    if not rows:
        return []
    return [finding("empty", "warning", "rows with a blank text, label, prompt or answer", rows, "dropped")]


def _copies(examples: Sequence[Example]) -> list[Finding]:
    if not examples:
        return []
    what = "rows that stand in their file before, input and target alike"
    return [finding("duplicate", "warning", what, examples, "dropped; the first of each is kept")]


def _leaks(leaks: Mapping[tuple[str, str], Sequence[Example]]) -> list[Finding]:
    return [
        finding(
            f"{name}_in_{other}",
            "warning",
            f"{name} rows whose input also stands in {other}",
            examples,
            f"dropped from {name}, so that {other} figures are of rows never seen",
        )
        for (name, other), examples in leaks.items()
    ]


def _several(rows: Sequence[Row]) -> list[Finding]:
    if not rows:
        return []
    if isinstance(rows[0], TextRow):
        what, action = "rows whose text stands under two labels or more", "kept: only you can say which label is right"
        return [finding("two_labels", "warning", what, rows, action)]
    return [finding("several_answers", "info", "rows whose prompt has several answers", rows, "kept: all are learnt")]
