"""zogan mlflow: log a finished run to an MLflow server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zogan.cli.console import Console
from zogan.cli.options import Debug, Json, Quiet


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("mlflow", epilog="Example: zogan mlflow runs/first http://mlflow.example:5000")(mlflow)


def mlflow(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")],
    uri: Annotated[str, typer.Argument(metavar="URI", help="Of the server, or of its database (sqlite:///FILE).")],
    experiment: Annotated[str, typer.Option(help="Where it is logged; made where absent.")] = "zogan",
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Log a finished run's configuration, figures, patch and reports to MLflow.

    A patch that is there already is not logged again. Nothing goes anywhere but to the URI.
    """
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        log(run, uri, experiment, console)


def log(run: Path, uri: str, experiment: str, console: Console) -> None:
    """Log a run and say where it is."""
    from dataclasses import asdict

    from zogan.tracking import log_to_mlflow

    found = log_to_mlflow(run, uri, experiment=experiment)
    how = "stands already" if found.known else "logged"
    console.result(asdict(found), f"{how} in experiment {found.experiment} of {found.uri}: run {found.run}")
