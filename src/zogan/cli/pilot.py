"""zogan pilot: all stages, then the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zogan.cli.console import Console
from zogan.cli.options import DEFAULT_CONFIG, ConfigPath, Debug, Gate, Json, Overrides, Quiet

if TYPE_CHECKING:
    from zogan.config import Config
    from zogan.evaluate.probes.reading import Probes


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("pilot", epilog="Example: zogan pilot --set train.epochs=3 --set output=runs/short")(pilot)


def pilot(
    config: ConfigPath = DEFAULT_CONFIG,
    patch: Annotated[
        Path | None,
        typer.Option(
            "--patch",
            help="Judge this patch as it is and tune none, such as one composed of a stack.",
            show_default=False,
        ),
    ] = None,
    overrides: Overrides = None,
    gate: Gate = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """All stages: data, select, tune, evaluate, probe, verdict, report.

    With --patch no weights are selected and none trained: the patch, made on the configured base, is evaluated in a run
    of its own.

    A stage whose result stands already, made from the same, is kept. A run that was killed goes on where it was.
    """
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.config import load_config

        run_pilot(load_config(config, overrides or ()), config, console, gate=gate, given=patch)


def run_pilot(config: Config, path: Path, console: Console, *, gate: bool = False, given: Path | None = None) -> None:
    """Run all stages of a configuration, which stands at `path`, and say what came out."""
    from zogan.cli.figures import external_tables, figures_table, figures_tree
    from zogan.cli.looks import counted
    from zogan.cli.probed import probed
    from zogan.cli.registry.candidate import bring
    from zogan.cli.verdict import leave, verdict_shown
    from zogan.pilot import pilot as run_all
    from zogan.report.curve import sentence as said_of
    from zogan.report.facts import of_seed
    from zogan.report.overfitting import overfitting
    from zogan.report.record import read
    from zogan.report.words import Words

    looked = counted(path, config, "pilot", console)
    run = run_all(config, given=given, progress=console, looked=looked, beside=path.resolve().parent)
    bring(run, config, path, console)
    record, words = read(run.folder), Words("en")
    verdict = record.verdict
    sentence, *clauses = verdict_shown(verdict, "en")
    seconds = sum(cost["wall_seconds"] for cost in record.stages.values())
    how = "measured in" if record.given else "in"
    cost = (
        f"{words.number(record.places.changed)} weights changed ({words.small_percent(record.density)} of the base), "
        f"a patch of {words.size(record.patch_bytes)}, {how} {words.duration(seconds)}"
    )
    tables: list[Any] = [one] if (one := of_seed(record, words)) else []
    tables += [figures_table(record.evaluation), *external_tables(record.evaluation)]
    tables += probed(record.probes)[:1] if record.probes else []
    gap, curve = overfitting(record.evaluation, (), words), record.curve
    tables += ([gap.sentence] if gap else []) + ([said_of(curve, words)] if curve else [])
    value = {
        "run": run.folder,
        "given": given,
        "stages": run.stages,
        "answer": sentence,
        "outcome": verdict.outcome,
        "verdict": verdict.model_dump(mode="json"),
        "before_is": record.evaluation.before_is,
        **({"folds": record.folds} if record.folds else {}),
        **figures_tree(record.evaluation),
        **({"probes": _readings(record.probes)} if record.probes else {}),
        **({"curve": curve.model_dump(mode="json")} if curve else {}),
        "changed": record.places.changed,
        "density": record.density,
        "patch": run.patch,
        "patch_bytes": record.patch_bytes,
        "wall_seconds": seconds,
        "report": run.report,
    }
    console.result(value, sentence, *clauses, *tables, cost, f"patch:  {run.patch}", f"report: {run.report}")
    leave(verdict, gate=gate)


def _readings(found: Probes) -> dict[str, Any]:
    """Of each reading its figure and limit; probes.json has the rest."""
    keys = {"value", "before", "difference", "unit", "limit", "outcome"}
    return {one.name: one.model_dump(mode="json", include=keys) for one in found.readings}
