"""zogan report: write what people read of a run anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from zogan.cli.console import Console
from zogan.cli.options import Debug, Json, Quiet


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report", epilog="Example: zogan report runs/first --only slides --language ja")(report)


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")],
    only: Annotated[
        Literal["html", "slides", "card", "runbook", "evidence", "cases"] | None,
        typer.Option(help="Documents of this kind alone.", show_default="all of them"),
    ] = None,
    language: Annotated[
        Literal["en", "ja"] | None,
        typer.Option(
            help="Of report.html and the other plain names; the other language stands beside them.",
            show_default="the configuration's",
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write a finished run's page, slides, model card, runbook, evidence and cases, in English and Japanese.

    All of it comes from the run's files; the cases take the text of the test rows from the data's. The verdict is made
    again first, so that probes and looks since then are in it.
    """
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        import zogan.report
        from zogan.cli.verdict import judged_again

        judged_again(run)
        # The runbook names the folder, for whoever follows it in another one.
        whole = run.absolute() if (run / "zogan.yaml").is_file() else run
        found = zogan.report.write(whole, language, only, progress=console)
        written = [run / path.name for path in found]
        pages = sorted(path for path in written if path.suffix == ".html" and path.stem.startswith("report"))
        value = {"run": run, "report": written[0], "pages": pages, "documents": written}
        console.result(value, *(f"{path.suffix[1:]}: {path}" for path in written))
