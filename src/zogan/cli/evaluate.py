"""zogan evaluate: before and after on the same rows."""

from __future__ import annotations

import typer

from zogan.cli.console import Console
from zogan.cli.options import DEFAULT_CONFIG, ConfigPath, Debug, Json, Overrides, Quiet


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate", epilog="Example: zogan evaluate --json | jq .difference")(evaluate)


def evaluate(
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure before and after on the same test rows, with intervals; earlier stages run where they have not yet."""
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.config import load_config

        settings = load_config(config, overrides or ())
        from zogan.cli.figures import external_tables, figures_table
        from zogan.cli.looks import counted
        from zogan.evaluate.evaluation import Evaluation
        from zogan.pilot import pilot

        looked = counted(config, settings, "evaluate", console)
        run = pilot(settings, until="evaluate", progress=console, looked=looked, beside=config.resolve().parent)
        evaluation = Evaluation.load(run.evaluation)
        value = {"run": run.folder, "stages": run.stages, **evaluation.model_dump(mode="json")}
        console.result(value, figures_table(evaluation), *external_tables(evaluation), f"figures: {run.evaluation}")
