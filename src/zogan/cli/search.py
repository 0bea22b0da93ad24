"""zogan search: find good settings for these data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zogan.cli.console import Console
from zogan.cli.options import DEFAULT_CONFIG, ConfigPath, Debug, Json, Overrides, Quiet

if TYPE_CHECKING:
    from zogan.report.words import Words
    from zogan.search.result import Found, Trial


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("search", epilog="Example: zogan search --minutes 30")(search)


def search(
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", help="Wall time of this call, as search.minutes.", show_default=False)
    ] = None,
    trials: Annotated[
        int | None, typer.Option("--trials", help="Settings to try in all, as search.trials.", show_default=False)
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option("--storage", metavar="URL", help="A PostgreSQL that several machines share.", show_default=False),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw quality against cost here too: .svg, .png or .pdf.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Try settings on the validation rows, and write the cheapest of those that are as good as the best.

    A search that was stopped or killed goes on where it was. Start the command several times to use several processes.
    """
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.config import load_config

        limits = {"minutes": minutes, "trials": trials, "storage": storage}
        said = [f"search.{name}={value}" for name, value in limits.items() if value is not None]
        settings = load_config(config, [*(overrides or ()), *said])
        if plot is not None:
            from zogan.report.picture import check

            check(plot)
        from zogan.cli.tables import table
        from zogan.report.words import Words
        from zogan.search import search as run
        from zogan.search.plot import draw
        from zogan.search.run import SCORES

        found, score, words = run(settings, progress=console), SCORES[settings.task], Words("en")
        if plot is not None:
            draw(found, plot, score=score)
        rows = [
            (
                str(trial.number),
                _changed(found, trial),
                trial.status if trial.why is None else f"failed: {trial.why}",
                "" if trial.score is None else f"{trial.score:.4f}",
                "" if trial.error is None else f"{trial.error:.4f}",
                "" if trial.seconds is None else words.duration(trial.seconds),
                "" if trial.trainable is None else f"{trial.trainable:,}",
                _mark(found, trial),
            )
            for trial in found.trials
        ]
        columns = ("trial", "settings", "", "score", "±", "time", "trained", "")
        console.result(
            {"score": score, **found.as_json(), "drawn": plot},
            table(columns, rows),
            _sentence(found, words),
            f"The score is the {score} of the validation, ± one standard error. The test rows were not looked at",
            f"trials: {found.folder / 'search.json'}, plot: {plot or found.plot}",
            f"next: zogan pilot {found.config}",
        )


def _changed(found: Found, trial: Trial) -> str:
    return ", ".join(f"{key.split('.')[-1]} {value}" for key, value in found.changes(trial).items()) or "as configured"


def _mark(found: Found, trial: Trial) -> str:
    marks = {"pick": trial == found.pick, "best": trial == found.best, "frontier": trial.number in found.frontier}
    return ", ".join(name for name, holds in marks.items() if holds)


def _sentence(found: Found, words: Words) -> str:
    best, pick, baseline = found.best, found.pick, found.baseline
    if baseline is None:
        return f"Picked: {_changed(found, pick)}. The configuration as it stands has not come to its end"
    if best == baseline:
        return "Nothing that was tried is better than the configuration as it stands" + (
            f"; cheaper and as good, within one standard error: {_changed(found, pick)}" if pick != baseline else ""
        )
    if pick == baseline:
        return "The configuration as it stands is as good as the best, within one standard error; nothing is cheaper"
    return (
        f"Picked: {_changed(found, pick)}. Score {pick.score:.4f} ± {pick.error:.4f}, in {words.duration(_of(pick))}; "
        f"as configured {baseline.score:.4f} ± {baseline.error:.4f}, in {words.duration(_of(baseline))}"
    )


def _of(trial: Trial) -> float:
    assert trial.seconds is not None  # it was measured
    return trial.seconds
