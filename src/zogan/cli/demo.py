"""zogan demo: data and a model that come with the install, then the pilot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from zogan.cli.console import Console
from zogan.cli.options import Debug, Json, Overrides, Quiet


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", epilog="Example: zogan demo classification demo-classification")(demo)


def demo(
    task: Annotated[Literal["classification", "generation"], typer.Argument(help="What to tune for.")],
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Where the files go.", show_default="demo-TASK")
    ] = None,
    run: Annotated[bool, typer.Option("--run/--no-run", help="Run the pilot, or only write the files.")] = True,
    overrides: Overrides = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Tune a real model on real data that come with the install, and write the report."""
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.config import load_config
        from zogan.demo import write_demo

        folder = folder or Path(f"demo-{task}")
        path = write_demo(task, folder, progress=console)
        config = load_config(path, overrides or ())
        if not run:
            console.result({"folder": folder, "config": path}, f"written: {path}", f"next: zogan pilot {path}")
            return
        from zogan.cli.pilot import run_pilot

        run_pilot(config, path, console)
