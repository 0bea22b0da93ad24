"""zogan select: choose the weights that may change."""

from __future__ import annotations

import math

import typer

from zogan.cli.console import Console
from zogan.cli.options import DEFAULT_CONFIG, ConfigPath, Debug, Json, Overrides, Quiet


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("select", epilog="Example: zogan select --set budget.density=0.002")(select)


def select(
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Choose the weights that may change, and say where they lie."""
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.config import PARAMETER_KINDS, load_config
        from zogan.errors import ConfigError

        settings = load_config(config, overrides or ())
        if settings.method != "sparse":
            raise ConfigError(
                f"method {settings.method!r} chooses no weights", where=str(config), todo="Only method: sparse does"
            )
        from zogan.cli.tables import table
        from zogan.patch.places import locate
        from zogan.pilot import pilot
        from zogan.report.words import Words
        from zogan.select.storage import load_selection

        run = pilot(settings, until="select", progress=console)
        file = run.first if settings.train.reselect else run.selection
        selection, words = load_selection(file), Words("en")
        shapes = selection.shapes
        tensors = {name: (len(flat), shapes[name]) for name, flat in selection.positions.items()}
        among = sum(math.prod(shapes[name]) for name in tensors)
        tensors |= {name: (math.prod(shapes[name]), shapes[name]) for name in selection.vectors}
        places = locate(tensors)
        by_layer = [
            (str(layer + 1), f"{count:,}", _share(count, places.changed)) for layer, count in places.by_layer().items()
        ]
        by_layer += [
            (name, f"{cell.changed:,}", _share(cell.changed, places.changed)) for name, cell in places.outside.items()
        ]
        if vectors := places.vectors.changed:
            by_layer.append(("biases and norms", f"{vectors:,}", _share(vectors, places.changed)))
        by_kind = [(kind, f"{count:,}", _share(count, places.changed)) for kind, count in places.by_kind().items()]
        counts: dict[str, int] = selection.meta.get("parameters", {"matrices": selection.count})
        kinds = {kind: counts[kind] for kind in PARAMETER_KINDS if kind in counts}
        several = f": {', '.join(f'{count:,} in {kind}' for kind, count in kinds.items())}" if len(kinds) > 1 else ""
        share = selection.count / among if among else 0.0
        value = {
            "run": run.folder,
            "stages": run.stages,
            "selection": file,
            "chosen": selection.count,
            "share": share,
            "parameters": kinds,
            "tensors": {name: count for name, (count, _) in tensors.items()},
            "whole": selection.whole,
            "about": dict(selection.meta),
        }
        console.result(
            value,
            f"{selection.count:,} weights chosen, {words.small_percent(share)} of the matrices that may change"
            f"{several}",
            table(("layer (from 1)", "chosen", "share of all"), by_layer, numbers=2),
            table(("kind of matrix", "chosen", "share of all"), by_kind, numbers=2),
            f"selection: {file}",
        )


def _share(count: int, total: int) -> str:
    return f"{100 * count / total:.1f} %" if total else "–"
