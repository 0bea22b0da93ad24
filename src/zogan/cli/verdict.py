"""zogan verdict: what the protocol says of a run, clause by clause."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from zogan.cli.console import Console
from zogan.cli.options import DEFAULT_CONFIG, Debug, Gate, Json, Quiet
from zogan.cli.tables import table

if TYPE_CHECKING:
    from rich.table import Table

    from zogan.evaluate.verdict.verdict import Verdict
    from zogan.report.words import Language

NOT_ACCEPTED = 3
"""Exit code with `--gate`."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verdict", epilog="Example: zogan verdict runs/first --gate")(verdict)


def verdict(
    run: Annotated[
        Path | None,
        typer.Argument(metavar="RUN", help="A run's folder.", show_default="that of zogan.yaml"),
    ] = None,
    gate: Gate = False,
    language: Annotated[Literal["en", "ja"], typer.Option("--lang", help="Of what is printed.")] = "en",
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Say what the protocol says of a run: accepted, rejected or undecided, clause by clause.

    Judged from the run's files and the frozen protocol as they are now; nothing is measured anew.
    """
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.errors import RunError
        from zogan.pilot import judge_run
        from zogan.run import Run

        folder = run or _configured()
        if not (folder / "zogan.yaml").is_file():
            raise RunError("is not a run: it has no zogan.yaml", where=str(folder), todo="Give the folder of a run")
        with Run(folder) as opened:
            found = judge_run(opened)
        console.result({"run": folder, **found.model_dump(mode="json")}, *verdict_shown(found, language))
        leave(found, gate=gate)


def judged_again(run: Path) -> None:
    """Judge a finished run by its files as they are now, before what people read of it is written anew."""
    from zogan.pilot import judge_run
    from zogan.run import Run

    if all(
        (run / name).is_file() for name in ("verdict.json", "protocol.json", "evaluation.json", "patch.safetensors")
    ):
        with Run(run) as opened:
            judge_run(opened)


def verdict_shown(found: Verdict, language: Language) -> list[str | Table]:
    """The verdict's sentence, the table of its clauses, and what is to be said of it."""
    from zogan.report.spoken import Speaker
    from zogan.report.words import Words

    words = Words(language)
    speaker = Speaker(found, words)
    heads = [words(f"verdict.{key}") for key in ("clause", "outcome", "measured", "interval", "must", "p")]
    rows = [
        (
            speaker.name(one),
            words(f"verdict.{one.outcome}"),
            speaker.measured(one),
            speaker.interval(one),
            speaker.must(one),
            speaker.p_value(one),
        )
        for one in found.clauses
    ]
    explores = [words("standing.exploratory")] if found.exploratory else []
    return [speaker.lead, table(heads, rows, numbers=4), *speaker.others, *explores, *speaker.standing()]


def leave(found: Verdict, *, gate: bool) -> None:
    """With `--gate`, leave with code 3 where the verdict is not accepted."""
    if gate and found.outcome != "accepted":
        raise typer.Exit(NOT_ACCEPTED)


def _configured() -> Path:
    from zogan.config import load_config

    return load_config(DEFAULT_CONFIG).output
