"""zogan data check: what is wrong with the data, row by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from zogan.cli.console import Console
from zogan.cli.options import DEFAULT_CONFIG, ConfigPath, Debug, Json, Overrides, Quiet

if TYPE_CHECKING:
    from rich.table import Table

    from zogan.config import Config
    from zogan.data.check import Check
    from zogan.data.rows import Row

_SHOWN_LABELS = 30


def register(app: typer.Typer) -> None:
    """Add the group and its command."""
    group = typer.Typer(help="Look at the data.", no_args_is_help=True)
    group.command("check", epilog="Example: zogan data check --json | jq .findings")(check)
    app.add_typer(group, name="data")


def check(
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Say what is wrong with the data, with places and examples, and what a run does about it.

    Leaves with exit code 2 where a run would refuse the data.
    """
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.config import load_config
        from zogan.data.check import check as look

        settings = load_config(config, overrides or ())
        lengths = _lengths(settings, console)
        found = look(settings, token_length=lengths[0], limit=lengths[1]) if lengths else look(settings)
        console.result(found.model_dump(mode="json"), *_shown(found))
        if found.fatal:
            raise typer.Exit(2)


def _lengths(config: Config, console: Console) -> tuple[Callable[[Row], int], int] | None:
    """Tokens of a row, and how many the model reads; None, with a note, where the model cannot be opened."""
    from zogan.data.rows import TextRow
    from zogan.errors import ZoganError
    from zogan.models import load_tokenizer, open_base
    from zogan.tasks.limits import row_limit
    from zogan.tasks.prompt import PromptFormat

    try:
        base = open_base(config.model, progress=console)
        tokenizer, limit = load_tokenizer(base), row_limit(base, config.train.max_length)
    except ZoganError as error:
        console.note(f"lengths are not looked at: {error}")
        return None
    prompt = PromptFormat(tokenizer) if config.task == "generation" else None

    def length(row: Row) -> int:
        if isinstance(row, TextRow):
            return len(tokenizer(row.text, verbose=False)["input_ids"])
        assert prompt is not None
        return len(prompt.encode([row])[0].ids)

    return length, limit


def _shown(found: Check) -> list[Table | str]:
    from zogan.cli.tables import table

    rows = [
        (name, f"{count:,}" if (count := found.rows.get(name)) is not None else "cut from train", f"{used:,}")
        for name, used in found.used.items()
    ]
    shown: list[Table | str] = [table(("split", "rows in the file", "rows in use"), rows, numbers=2)] if rows else []
    if found.balance:
        labels = list(found.balance.items())
        counts = [(label, *(f"{count:,}" for count in by.values())) for label, by in labels[:_SHOWN_LABELS]]
        shown.append(table(("label", *labels[0][1]), counts, numbers=len(labels[0][1])))
        if len(labels) > _SHOWN_LABELS:
            shown.append(f"… and {len(labels) - _SHOWN_LABELS} labels more: --json has them all")
    for one in found.findings:
        shown.append(f"{one.severity}: {one.count:,} × {one.what} → {one.action}")
        shown += [f"    {example.place}  {example.text}" for example in one.examples]
    shown += [f"not looked at: {reason}" for reason in found.skipped]
    if not found.findings:
        shown.append("nothing amiss")
    elif found.fatal:
        shown.append("a run would refuse this data: mend the errors above")
    else:
        shown.append("a run would go on with the rows in use")
    return shown
