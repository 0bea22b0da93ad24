"""zogan tune: train the chosen weights, and write the patch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from zogan.cli.console import Console
from zogan.cli.options import DEFAULT_CONFIG, ConfigPath, Debug, Json, Overrides, Quiet


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tune", epilog="Example: zogan tune --set train.rate=0.002 --set output=runs/slower")(tune)


def tune(
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train the chosen weights, and write the patch; weights are chosen first where they are not yet."""
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.config import load_config

        settings = load_config(config, overrides or ())
        from zogan.cli.tables import table
        from zogan.patch import Patch
        from zogan.pilot import pilot
        from zogan.report.words import Words

        run = pilot(settings, until="tune", progress=console)
        patch, words = Patch.load(run.patch), Words("en")
        epochs, second = _epochs(run.folder / "metrics.jsonl"), _second(run.folder / "metrics.jsonl")
        cost = json.loads((run.folder / "costs.json").read_text(encoding="utf-8"))["stages"]["tune"]
        exchanges = _lines(run.folder / "metrics.jsonl", "reselect")
        best = next((entry["epoch"] for entry in reversed(epochs) if entry["best"]), None)
        size = run.patch.stat().st_size
        value = {
            "run": run.folder,
            "stages": run.stages,
            "patch": run.patch,
            "patch_bytes": size,
            "changed": patch.count,
            "density": patch.density,
            "best_epoch": best,
            "epochs": epochs,
            "second_stage": second,
            **({"reselections": exchanges} if exchanges else {}),
            **_folds(run.folder / "metrics.jsonl"),
            **cost,
        }
        rows = [
            (
                str(entry["epoch"]),
                f"{entry['train_loss']:.4f}",
                f"{entry['validation_loss']:.4f}",
                words.duration(entry["seconds"]),
                "best" if entry["epoch"] == best else "",
            )
            for entry in epochs
        ]
        memory = f", at most {words.size(cost['peak_bytes'])} of memory" if cost.get("peak_bytes") else ""
        console.result(
            value,
            table(("epoch", "training loss", "validation loss", "time so far", ""), rows),
            *([_exchanged(exchanges)] if exchanges else []),
            *([f"second stage: {'kept' if second['kept'] else 'not kept'}; {second['reason']}"] if second else []),
            f"{patch.count:,} weights changed ({words.small_percent(patch.density)} of the base) "
            f"in {words.duration(cost['wall_seconds'])}{memory}",
            f"patch: {run.patch} ({words.size(size)})",
        )


def _exchanged(exchanges: list[dict[str, Any]]) -> str:
    each = "; ".join(f"{one['exchanged']:,} of {one['chosen']:,} after step {one['step']}" for one in exchanges)
    return f"re-selected weights: {each}"


def _epochs(log: Path) -> list[dict[str, Any]]:
    return _lines(log, "epoch")


def _second(log: Path) -> dict[str, Any] | None:
    """What the second stage did; None where there was none."""
    return next(iter(_lines(log, "adapters")), None)


def _folds(log: Path) -> dict[str, Any]:
    """What the folds said together, and each of them, where there were any."""
    found = _lines(log, "folds")
    return {"folds": {**found[-1], "each": _lines(log, "fold")}} if found else {}


def _lines(log: Path, kind: str) -> list[dict[str, Any]]:
    lines = map(json.loads, log.read_text(encoding="utf-8").splitlines()) if log.is_file() else ()
    return [{key: value for key, value in line.items() if key != "kind"} for line in lines if line.get("kind") == kind]
