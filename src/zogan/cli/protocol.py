"""zogan protocol plan, freeze, show: what good enough means, written down before training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zogan.cli.console import Console
from zogan.cli.options import DEFAULT_CONFIG, ConfigPath, Debug, Json, Overrides, Quiet

if TYPE_CHECKING:
    from zogan.evaluate.metrics import Metric
    from zogan.evaluate.protocol.plan import Spread
    from zogan.evaluate.protocol.state import State


def register(app: typer.Typer) -> None:
    """Add the group and its commands."""
    group = typer.Typer(help="Say what good enough means before anything is trained.", no_args_is_help=True)
    group.command("plan", epilog="Example: zogan protocol plan --difference 0.03 --plot plan.svg")(plan)
    group.command("freeze", epilog="Example: zogan protocol freeze zogan.yaml")(freeze)
    group.command("show", epilog="Example: zogan protocol show --json | jq .changes")(show)
    app.add_typer(group, name="protocol")


def plan(
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = None,
    power: Annotated[float, typer.Option("--power", help="Chance to show what is true, 0 to 1.")] = 0.8,
    difference: Annotated[
        float | None,
        typer.Option(
            "--difference",
            help="True improvement to plan for, in the figure's unit. Absent: none at all for non-inferiority, twice "
            "the margin for superiority.",
            show_default=False,
        ),
    ] = None,
    discordant: Annotated[
        float | None,
        typer.Option(
            "--discordant",
            help="Figures that are a share: share of the rows on which one model is right and the other wrong.",
            show_default="0.2",
        ),
    ] = None,
    deviation: Annotated[
        float | None,
        typer.Option(
            "--deviation", help="Other figures: standard deviation of a row's difference.", show_default=False
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option("--from", metavar="RUN", help="Take either from an earlier run's evaluation.", show_default=False),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw rows against the difference: .svg, .png or .pdf.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Say how many test rows the protocol's claim takes, and the smallest difference that those at hand can show."""
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.cli.planned import planned
        from zogan.config import load_config
        from zogan.data.load import load
        from zogan.evaluate.protocol.plan import plan as plan_rows
        from zogan.evaluate.protocol.protocol import deciding

        settings = load_config(config, overrides or ())
        if plot is not None:
            from zogan.report.picture import check

            check(plot)
        spread = _spread(deciding(settings), discordant, deviation, run)
        found = plan_rows(settings, load(settings).test, power=power, difference=difference, spread=spread)
        if plot is not None:
            from zogan.report.plan import draw

            draw(found, plot)
        shown = [*planned(found), *([f"plot: {plot}"] if plot else [])]
        console.result({**found.as_json(), "plot": plot}, *shown)


def freeze(
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = None,
    run: Annotated[
        bool, typer.Option("--run", help="Freeze it in the run's folder (output), not beside the configuration.")
    ] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Replace another freeze, which is kept beside it under its hash.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write protocol.lock.json: the protocol, the test rows' hashes, and when."""
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.cli.looks import now
        from zogan.config import load_config
        from zogan.evaluate.protocol.lock import freeze as write
        from zogan.evaluate.protocol.protocol import in_full
        from zogan.evaluate.protocol.sample import sample
        from zogan.evaluate.protocol.state import too_late
        from zogan.tasks import open_job

        settings = load_config(config, overrides or ())
        job = open_job(settings, progress=console)
        folder = settings.output if run else config.resolve().parent
        protocol, test = in_full(job), sample(job.splits.test, settings.protocol.slices)
        late = too_late(settings.output, folder, test)
        found = write(folder, protocol, test, at=now(), exploratory=late, anew=anew)
        words = {
            "frozen": "frozen",
            "kept": f"frozen already, at {found.lock.frozen_at}: nothing has changed since",
            "anew": f"frozen anew; the old one is kept as {found.old}",
        }
        console.result(
            {
                "outcome": found.outcome,
                "lock": found.path,
                "frozen_at": found.lock.frozen_at,
                "sha256": found.lock.sha256,
                "test": {"rows": test.rows, "sha256": test.sha256},
                "exploratory": list(found.lock.exploratory),
                "old": found.old,
            },
            words[found.outcome],
            f"protocol: sha256 {found.lock.sha256}",
            f"test:     {test.rows:,} rows, sha256 {test.sha256}",
            f"lock:     {found.path}",
            *(f"exploratory, not confirmed: {reason}" for reason in found.lock.exploratory),
        )


def show(
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Show the protocol in full, whether it is frozen, what changed since, and the looks at the test rows."""
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.cli.terms import standing, terms
        from zogan.config import load_config
        from zogan.evaluate.metrics import metrics
        from zogan.evaluate.protocol.state import state
        from zogan.tasks import open_job

        settings = load_config(config, overrides or ())
        found = state(open_job(settings, progress=console), config.resolve().parent)
        metric = metrics(settings.task)[found.protocol.metric]
        rows = [*terms(found.protocol, found.test, metric), *standing(found)]
        width = max(len(key) for key, _ in rows) + 2
        console.result(_tree(found), *(f"{key + ':':<{width}}{said}" for key, said in rows))


def _spread(metric: Metric, discordant: float | None, deviation: float | None, run: Path | None) -> Spread | None:
    """How rows differ, where the user says so."""
    from zogan.errors import ConfigError
    from zogan.evaluate.evaluation import Evaluation
    from zogan.evaluate.protocol.plan import Spread, measured
    from zogan.evaluate.statistics import Mean, RightOrWrong

    given = {"--discordant": discordant, "--deviation": deviation, "--from": run}
    named = [key for key, value in given.items() if value is not None]
    if len(named) > 1:
        raise ConfigError(f"{' and '.join(named)} say the same", where="zogan protocol plan", todo="Give one of them")
    if run is not None:
        return measured(Evaluation.load(run / "evaluation.json"), metric)
    wrong, right = ("--deviation", "--discordant") if metric.proportion else ("--discordant", "--deviation")
    if wrong in named:
        raise ConfigError(f"is not how {metric.name} differs from row to row", where=wrong, todo=f"Give {right}")
    if discordant is not None and not 0 < discordant <= 1:
        raise ConfigError(f"{discordant:g} is no share above 0 and at most 1", where="--discordant")
    if deviation is not None and not 0 < deviation < float("inf"):
        raise ConfigError(f"{deviation:g} is not above 0", where="--deviation")
    if discordant is not None:
        return Spread(RightOrWrong(discordant), "given")
    return Spread(Mean(deviation), "given") if deviation is not None else None


def _tree(found: State) -> dict[str, Any]:
    frozen = found.frozen
    return {
        "protocol": found.protocol.model_dump(mode="json"),
        "sha256": found.protocol.digest,
        "test": {
            "rows": found.test.rows,
            "sha256": found.test.sha256,
            "slices": {name: one.rows for name, one in found.test.slices.items()},
        },
        "lock": found.path,
        "frozen_at": frozen.frozen_at if frozen else None,
        "frozen_sha256": frozen.sha256 if frozen else None,
        "exploratory": list(frozen.exploratory) if frozen else [],
        "changes": found.changes.as_json() if found.changes is not None else None,
        "looks": found.looks,
    }
