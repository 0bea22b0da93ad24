"""zogan estimate: time, memory, file size and price of tuning, before it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zogan.cli.console import Console
from zogan.cli.options import DEFAULT_CONFIG, ConfigPath, Debug, Json, Overrides, Quiet


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("estimate", epilog="Example: zogan estimate --set cost.per_hour=0.9 --plot estimate.svg")(estimate)


def estimate(
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw the settings by time and memory: .svg, .png or .pdf.")
    ] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Measure this machine again.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Say what tuning takes with each method, before it is run, from ten seconds of a few of the model's layers."""
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.config import load_config

        settings = load_config(config, overrides or ())
        if plot is not None:
            from zogan.report.estimates import draw
            from zogan.report.picture import check

            check(plot)
        from zogan.cli.tables import table
        from zogan.report.words import Words
        from zogan.tasks import open_job
        from zogan.train.calibration import calibrate
        from zogan.train.estimator import Estimator

        job = open_job(settings, progress=console)
        estimator = Estimator(job, calibrate(job, anew=anew, progress=console))
        found = [estimator.estimate(setting) for setting in estimator.settings()]
        if plot is not None:
            draw(found, plot, layers=len(estimator.form.layers))
        words, full = Words("en"), next(one for one in found if one.setting.method == "full")
        priced = settings.cost.per_hour is not None
        rows = [
            (
                one.setting.label(len(estimator.form.layers)),
                f"{one.trainable:,}",
                f"{one.work.total / 1e12:,.1f}",
                words.duration(one.seconds),
                f"{one.seconds / full.seconds:.2f}",
                words.size(one.peak_bytes),
                words.size(one.file_bytes),
                *([f"{one.price:,.2f}"] if one.price is not None else []),
            )
            for one in found
        ]
        columns = ("method", "trained", "10¹² operations", "time", "of full", "memory", "file")
        price = (settings.cost.currency,) if priced else ()
        seconds = estimator.calibration.seconds
        console.result(
            {
                "calibration_seconds": seconds,
                "estimates": [one.as_json() for one in found],
                "plot": plot,
            },
            table((*columns, *price), rows, numbers=len(columns) + len(price) - 1),
            f"{settings.train.epochs} epochs over {len(job.splits.train):,} rows, with selection, prefix cache and "
            f"validation; evaluation comes on top. This machine's pace was measured for {seconds:.0f} s",
            *([f"plot: {plot}"] if plot else []),
        )
