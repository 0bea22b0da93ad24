"""zogan check: whether tuning is worth it, before it is run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from zogan.cli.console import Console
from zogan.cli.options import DEFAULT_CONFIG, ConfigPath, Debug, Json, Overrides, Quiet

if TYPE_CHECKING:
    from rich.table import Table

    from zogan.evaluate.applicability.result import Answer, Applicability, Told
    from zogan.report.words import Words

_SHOWN_DOUBTS = 10

_NEXT: dict[Answer, str] = {
    "suited": "zogan pilot",
    "adapters_or_full": "zogan pilot with method: lora or full, or with adapters.two_stage",
    "not_enough_data": "label more rows, then zogan check again",
    "not_needed": "method: head where one is fitted, else the base as it is",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check", epilog="Example: zogan check --json | jq '.answer, .reason'")(check)


def check(
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Say whether tuning is worth it on this base and data, in minutes and without tuning.

    It looks at what the base can do as it is, and never at the test rows. For faults in the data files themselves, see
    `zogan data check`.
    """
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.config import load_config
        from zogan.evaluate.applicability import check as look

        found = look(load_config(config, overrides or ()), progress=console)
        console.result(found.model_dump(mode="json"), *_shown(found))


def _shown(found: Applicability) -> list[Table | str]:
    from zogan.cli.tables import table
    from zogan.evaluate.applicability.result import IN_WORDS
    from zogan.report.words import Words

    words = Words("en")
    rows = [(one.what, _figure(one.value, one, words), _ends(one, words)) for one in found.figures.values()]
    level = words.percent(found.level, 0)
    shown: list[Table | str] = [f"{IN_WORDS[found.answer]}: {found.reason}"]
    if rows:
        read = f"{found.rows['train']:,} training rows and {found.rows['validation']:,} for validation"
        shown.append(table(("figure", "", f"{level} interval"), rows, title=read, numbers=2))
    if found.doubts:
        doubts = [
            (f"{one.file}:{one.line}", one.text, one.label, one.suggested) for one in found.doubts[:_SHOWN_DOUBTS]
        ]
        title = f"labels that other rows speak against: {len(found.doubts):,}"
        shown.append(table(("row", "text", "label", "rather"), doubts, title=title))
        if len(found.doubts) > _SHOWN_DOUBTS:
            shown.append(f"… and {len(found.doubts) - _SHOWN_DOUBTS:,} rows more: --json has them all")
    if found.test_rows_needed is not None:
        shown.append(
            f"to show what is within reach takes {found.test_rows_needed:,} test rows, four times in five; there are "
            f"{found.rows['test']:,}"
        )
    return [*shown, *(f"note: {note}" for note in found.notes), f"next: {_NEXT[found.answer]}"]


def _figure(value: float, one: Told, words: Words) -> str:
    if one.unit == "share":
        return words.percent(value, 1)
    if one.unit == "difference":
        return f"{words.number(100 * value, 1)} points"
    return words.number(value, 1 if one.unit == "points" else 3)


def _ends(one: Told, words: Words) -> str:
    if one.low is None or one.high is None:
        return "–"
    low = words.number(100 * one.low, 1) if one.unit == "difference" else _figure(one.low, one, words)
    return f"{low} to {_figure(one.high, one, words)}"
