"""What probes found, as `zogan probe` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zogan.cli.tables import table

if TYPE_CHECKING:
    from rich.table import Table

    from zogan.evaluate.probes.reading import Example, Probes, Reading, Unit
    from zogan.report.words import Words

_OUTCOMES = {"kept": "kept", "broken": "BROKEN", "undecided": "undecided", None: ""}
_WORST = 3
"""Examples of each reading that are shown."""


def probed(found: Probes) -> list[Table | str]:
    """The readings, the worst examples of each, what was noted, and what did not run."""
    from zogan.report.words import Words

    words = Words("en")
    rows = [_cells(one, words) for one in found.readings]
    level = words.percent(found.level, 0)
    columns = ("probe", "what", "before", "with the patch", f"{level} interval", "limit", "")
    shown: list[Table | str] = []
    if rows:
        shown.append(table(columns, rows, title=f"on {found.rows:,} test rows; the higher, the more harm"))
    for one in found.readings:
        more = [f"{name} {_number(value, words)}" for name, value in one.also.items() if value is not None]
        lines = [", ".join(more)] if more else []
        lines += [*one.notes, *(_line(example) for example in one.examples[:_WORST])]
        if lines:
            shown.append("\n".join((f"{one.name}:", *(f"  {line}" for line in lines))))
    shown += [f"not run: {name}: {why}" for name, why in found.skipped.items()]
    return shown


def _cells(one: Reading, words: Words) -> tuple[str, ...]:
    value, unit = one.value, one.unit
    return (
        one.name,
        one.figure,
        "–" if one.before is None else _figure(one.before.value, unit, words),
        _figure(value.value, unit, words),
        f"{_figure(value.low, unit, words)} to {_figure(value.high, unit, words)}",
        "–" if one.limit is None else _figure(one.limit, unit, words),
        _OUTCOMES[one.outcome],
    )


def _figure(value: float, unit: Unit, words: Words) -> str:
    if unit == "share":
        return words.percent(value, 1)
    text = words.number(value, 3)
    return text if unit == "plain" else f"{text} {unit}"


def _number(value: float, words: Words) -> str:
    return words.number(value, 3)


def _line(example: Example) -> str:
    return f"{example.place}: {example.text} ({example.what})"
