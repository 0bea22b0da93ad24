"""zogan explain: what a run's patch changed, what each layer is worth, and why rows are answered so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zogan.cli.console import Console
from zogan.cli.options import Debug, Json, Quiet

if TYPE_CHECKING:
    from zogan.pilot import Looked


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain", epilog="Example: zogan explain runs/first --smallest small.safetensors")(explain)


def explain(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")],
    row: Annotated[
        list[int] | None,
        typer.Option("--row", metavar="N", help="Explain this test row alone, counted from 1; repeatable."),
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", metavar="TEXT", help="Explain the answer to this text; repeatable.")
    ] = None,
    smallest: Annotated[
        Path | None,
        typer.Option("--smallest", metavar="FILE", help="Write the smallest part of the patch that keeps the verdict."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Write a map of what changed: .svg, .png or .pdf."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Explain a run's patch: where it changed the model, what each layer is worth, the smallest part that does.

    A few test rows are explained too: the tokens that carried the answer, before and after, and training rows alike.
    All of it is written to the run's explanation.json, and into its report where there is one. The verdict is made
    again there, for the look that the smallest part may have taken.
    """
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.cli.explained import explained
        from zogan.errors import ConfigError
        from zogan.evaluate.explanation import explain_run
        from zogan.evaluate.explanation.kept import keep

        if smallest is not None and (row or text):
            todo = "Leave out --row and --text"
            raise ConfigError("is sought when all is explained", where="--smallest", todo=todo)
        if smallest is not None and not smallest.absolute().parent.is_dir():
            # Before a look at the test rows is spent on it.
            raise ConfigError("no such folder", where=str(smallest.parent), todo="Make it, or name another")
        if plot is not None:
            from zogan.report.picture import check

            check(plot)
        found = explain_run(
            run,
            rows=row or (),
            texts=text or (),
            smallest=smallest,
            progress=console,
            looked=_looked(run, console),
        )
        keep(run, found)
        written = [f"explanation: {run / 'explanation.json'}"]
        if smallest is not None:
            saved = found.smallest is not None and found.smallest.stands
            written.append(f"smallest: {smallest if saved else 'not written, see above'}")
        if plot is not None:
            written.append(f"map: {_plotted(run, plot)}")
        if (run / "report.html").is_file():
            written.append(f"report: {_report(run, console)}")
        console.result({"run": run, **found.model_dump(mode="json")}, *explained(found), *written)


def _looked(run: Path, console: Console) -> Looked | None:
    """Counts a look where a protocol is frozen, in the run's folder or beside its configuration."""
    import json

    from zogan.cli.looks import counted
    from zogan.evaluate.comparison.side import config_of

    if not (run / "zogan.yaml").is_file():
        return None
    terms = run / "protocol.json"
    try:
        beside = json.loads(terms.read_text(encoding="utf-8")).get("beside") if terms.is_file() else None
    except (ValueError, AttributeError):
        beside = None
    folder = run / beside if isinstance(beside, str) else run
    config = config_of(run).model_copy(update={"output": run})
    return counted(folder / "zogan.yaml", config, "explain", console)


def _plotted(run: Path, path: Path) -> Path | str:
    from zogan.patch import Patch
    from zogan.patch.places import locate_changes
    from zogan.report.map import draw

    found = locate_changes(Patch.load(run / "patch.safetensors").changes)
    if not found.cells:
        return "not written, no matrix of a layer changed"
    draw(found, path)
    return path


def _report(run: Path, console: Console) -> Path:
    """All documents anew, in the language that they have."""
    import zogan.report
    from zogan.cli.verdict import judged_again

    judged_again(run)
    page, *_ = zogan.report.write(
        run.absolute(), "en" if (run / "report.ja.html").is_file() else "ja", progress=console
    )
    return run / page.name
