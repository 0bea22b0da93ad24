"""zogan probe: look for harm in a patch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zogan.cli.console import Console
from zogan.cli.options import DEFAULT_CONFIG, Debug, Json, Overrides, Quiet

Only = Annotated[list[str] | None, typer.Option("--only", metavar="PROBE", help="Run this probe alone; repeatable.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("probe", epilog="Example: zogan probe runs/first --only churn --only robustness")(probe)


def probe(
    source: Annotated[
        Path,
        typer.Argument(metavar="CONFIG|RUN", help="The configuration, or a run's folder.", show_default="zogan.yaml"),
    ] = DEFAULT_CONFIG,
    patch: Annotated[
        Path | None, typer.Option("--patch", help="The patch; the run's own where absent.", show_default=False)
    ] = None,
    before: Annotated[
        Path | None,
        typer.Option(
            "--before",
            help="A new head: the patch of a head alone to compare with; the run's own where absent.",
            show_default=False,
        ),
    ] = None,
    production: Annotated[
        Path | None, typer.Option("--production", help="The patch in use, compared with too.", show_default=False)
    ] = None,
    only: Only = None,
    overrides: Overrides = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Look for harm in a patch: calibration, churn, robustness, forgetting, leaks and more, before and after.

    Over a run, all is written to its probes.json.
    """
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.config import load_config

        over_run = source.is_dir()
        path = source / "zogan.yaml" if over_run else source
        settings = load_config(path, overrides or ())
        run = source if over_run else settings.output
        file = patch or run / "patch.safetensors"
        _there(file, run, given=patch is not None)
        if before is None and (run / "before.safetensors").is_file():
            before = run / "before.safetensors"
        from zogan.cli.looks import counted
        from zogan.cli.probed import probed
        from zogan.evaluate.probes import probe as look
        from zogan.evaluate.protocol.sample import digest_of_test
        from zogan.patch import Patch
        from zogan.tasks import open_job

        job = open_job(settings, progress=console)
        found = look(
            job,
            Patch.load(file),
            before=None if before is None else Patch.load(before),
            production=None if production is None else Patch.load(production),
            only=only,
            progress=console,
        )
        looked = counted(path, settings, "probe", console)
        if looked is not None:
            looked(found.patch, digest_of_test(job.splits.test))
        shown = probed(found)
        if over_run and patch is None:
            shown.append(f"probes: {_write(run, found.dumps())}")
        console.result({"source": source, **found.model_dump(mode="json")}, *shown)


def _there(file: Path, run: Path, *, given: bool) -> None:
    from zogan.errors import RunError

    if not file.is_file() and not given:
        todo = "Name one with --patch, or make it with `zogan tune`"
        raise RunError("holds no patch.safetensors", where=str(run), todo=todo)


def _write(run: Path, text: str) -> Path:
    """Whole or not at all."""
    partial = run / "probes.json.partial"
    partial.write_text(text, encoding="utf-8")
    return partial.replace(run / "probes.json")
