"""zogan compare: two runs, patches or models on the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zogan.cli.console import Console
from zogan.cli.options import DEFAULT_CONFIG, Debug, Json, Overrides, Quiet

if TYPE_CHECKING:
    from zogan.config import Config

_HELP = "A run's folder, a patch's file or a model's folder."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compare", epilog="Example: zogan compare runs/first runs/second --save rows.csv")(compare)


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help=_HELP)],
    b: Annotated[str, typer.Argument(metavar="B", help="The other.")],
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="What patches and models are evaluated with, and whose slices are looked at. For two runs, their own "
            "where absent.",
            show_default="zogan.yaml",
        ),
    ] = None,
    overrides: Overrides = None,
    rows: Annotated[int, typer.Option("--rows", metavar="N", min=0, help="Rows that differ to show.")] = 10,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", help="Write all rows that differ: .csv or .jsonl.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Hold B against A on the same test rows: figures, paired intervals and tests, and the rows on which they differ.

    Of a run, what it kept is used and nothing is predicted again; a patch or a model's folder is evaluated first.
    """
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.cli.compared import compared
        from zogan.cli.looks import counted
        from zogan.evaluate import compare_runs
        from zogan.evaluate.comparison.differing import check, write

        if save is not None:
            check(save)
        path, settings = _settings(a, b, config, overrides)
        looked = None if settings is None else counted(path, settings, "compare", console)
        found = compare_runs(a, b, config=settings, progress=console, looked=looked)
        if save is not None:
            write(found, save)
        cut = found.model_copy(update={"differences": found.differences[:rows]})
        saved = [f"rows that differ: {save}"] if save is not None else []
        console.result({**cut.model_dump(mode="json"), "saved": save}, *compared(cut), *saved)


def _settings(a: str, b: str, config: Path | None, overrides: list[str] | None) -> tuple[Path, Config | None]:
    """The configuration; None where two runs have their own, and no other is asked for."""
    from zogan.config import load_config
    from zogan.evaluate.comparison.side import kind_of

    path = config or DEFAULT_CONFIG
    if kind_of(a) == kind_of(b) == "run" and config is None and not overrides:
        return path, None
    return path, load_config(path, overrides or ())
