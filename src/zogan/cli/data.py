"""zogan data check: what is wrong with the data, row by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from zogan.cli.console import Console
from zogan.cli.options import DEFAULT_CONFIG, ConfigPath, Debug, Json, Overrides, Quiet

if TYPE_CHECKING:
    from rich.table import Table

    from zogan.config import Config
    from zogan.data.check import Check
    from zogan.data.rows import Row
    from zogan.train.labels import LabelCheck

_SHOWN_LABELS = 30
_SHOWN_DOUBTS = 50


def register(app: typer.Typer) -> None:
    """Add the group and its command."""
    group = typer.Typer(help="Look at the data.", no_args_is_help=True)
    group.command("check", epilog="Example: zogan data check --json | jq .findings")(check)
    app.add_typer(group, name="data")


def check(
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="List training rows whose label may be wrong, as the base reads them.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Say what is wrong with the data, with places and examples, and what a run does about it.

    With --labels the base reads the training rows, and those are listed whose label the others speak against.
    Leaves with exit code 2 where a run would refuse the data.
    """
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.config import load_config
        from zogan.data.check import check as look
        from zogan.errors import ConfigError

        settings = load_config(config, overrides or ())
        if labels and settings.task != "classification":
            raise ConfigError("is for classification: generation has no labels", where="--labels")
        lengths = _lengths(settings, console)
        found = look(settings, token_length=lengths[0], limit=lengths[1]) if lengths else look(settings)
        tree, shown = found.model_dump(mode="json"), _shown(found)
        if labels and not found.fatal:
            from zogan.train import check_labels

            doubted = check_labels(settings, progress=console)
            tree["labels"] = doubted.model_dump(mode="json")
            shown += _shown_doubts(doubted)
        console.result(tree, *shown)
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
        (name, f"{count:,}" if (count := found.rows.get(name)) is not None else _instead(name, found), f"{used:,}")
        for name, used in found.used.items()
    ]
    rows += [(name, "external", f"{used:,}") for name, used in found.external.items()]
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


def _instead(split: str, found: Check) -> str:
    return "cut from train" if split in found.cut else "train, in folds"


def _shown_doubts(found: LabelCheck) -> list[Table | str]:
    """The rows in doubt, and how far to trust that."""
    from zogan.cli.tables import table

    shown: list[Table | str] = []
    if found.doubts:
        rows = [
            (
                f"{one.file}:{one.line}",
                one.text,
                *_likely(one.label, one.probability),
                *_likely(one.suggested, one.suggested_probability),
            )
            for one in found.doubts[:_SHOWN_DOUBTS]
        ]
        shown.append(table(("row", "text", "label", "probability", "rather", "probability"), rows))
        if len(found.doubts) > _SHOWN_DOUBTS:
            shown.append(f"… and {len(found.doubts) - _SHOWN_DOUBTS:,} rows more: --json has them all")
    share = len(found.doubts) / found.judged
    shown.append(
        f"labels: {len(found.doubts):,} of {found.judged:,} training rows ({share:.1%}) are in doubt, and about "
        f"{found.expected_share:.1%} of the labels are taken to be wrong, by a classifier on the base's features that "
        f"gives {found.accuracy:.1%} of the rows it has not seen their own label. What it gets wrong itself is among "
        "them: look at each. Nothing was changed"
    )
    shown += [
        f"not looked at: the {count} rows of {label!r}, too few to hold any out"
        for label, count in found.unjudged.items()
    ]
    return shown


def _likely(label: str, probability: float) -> tuple[str, str]:
    return label, f"{probability:.2f}"
