"""zogan report: write a run's page anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from zogan.cli.console import Console
from zogan.cli.options import Debug, Json, Quiet


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report", epilog="Example: zogan report runs/first --language ja")(report)


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")],
    language: Annotated[
        Literal["en", "ja"] | None,
        typer.Option(help="Of report.html; the other language stands beside it.", show_default="the configuration's"),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write a finished run's report, in English and Japanese, from the run's files alone."""
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        import zogan.report

        page = zogan.report.write(run, language)
        pages = sorted(run.glob("report*.html"))
        console.result({"run": run, "report": page, "pages": pages}, *(f"report: {path}" for path in pages))
