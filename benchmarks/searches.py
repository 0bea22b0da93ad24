"""Claim: a search of ten times one run's time finds settings that are better than the defaults, or says that it cannot.

MiniLM on the development settings. The defaults are tuned; then `zogan search` has ten times as long as that took, by
the wall, on the same training and validation rows; then what it picked is tuned. Both are held against each other on
held-out rows, which neither has seen. The table of priors is used without what was learnt on the same task.

    python benchmarks/searches.py --data FOLDER [--settings banking77-5] [--seeds 2] [--times 10] [--budget-minutes 60]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

import zogan
from curve_cell import cell
from curves import written
from development import drawn
from methods import Row, merged
from study import CLASSIFICATION, interval
from zogan.config import parse_config
from zogan.environment import environment
from zogan.search.priors import Prior, read_priors
from zogan.search.result import Found
from zogan.tasks import open_job

PARTS = ("budget", "select", "regularize", "train", "adapters")
"""Sections of a configuration that a search changes."""


def others(setting: str) -> list[Prior]:
    """The table without the setting's own task."""
    task = setting.rpartition("-")[0]
    return [prior for prior in read_priors() if prior.name.rpartition("-")[0] != task]


def picked(config: Row, folder: Path, minutes: float, setting: str) -> Found:
    """What a search of so many minutes finds."""
    search = {"folder": str(folder / "search"), "minutes": minutes, "trials": None}
    given = parse_config(merged({**config, "method": "sparse"}, {"search": search}), folder=folder)
    with patch("zogan.search.run.read_priors", lambda: others(setting)):
        return zogan.search(open_job(given, cache=folder / "cache"))


def best(config: Row, folder: Path) -> tuple[float, float]:
    """Figure on the held-out rows at the epoch that validates best, and seconds of the whole training."""
    found = cell(written(config, folder))
    point = min(found["points"], key=lambda each: list(each["validation"]))
    return point["figure"], found["points"][-1]["seconds"]


def measured(setting: str, seed: int, data: Path, times: float) -> Row:
    """Defaults and pick of one setting and draw."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        config = {**drawn(setting, data, folder, seed), "method": "ours"}
        figure, seconds = best(config, folder)
        started = time.perf_counter()
        found = picked(config, folder, times * seconds / 60, setting)
        searched = time.perf_counter() - started
        changes = found.changes(found.pick)
        tree = yaml.safe_load(found.config.read_text(encoding="utf-8"))
        chosen = {part: tree[part] for part in PARTS if part in tree}
        after = best(merged(config, chosen), folder)[0]
    return {
        "defaults": figure,
        "pick": after,
        "changes": changes,
        "trials": len(found.trials),
        "seconds": seconds,
        "searched_seconds": searched,
    }


def table(cells: dict[str, Row]) -> str:
    """Markdown: a line for each setting and draw, and the mean difference."""
    lines = ["| setting | draw | defaults | pick | trials | time of runs | changed |", "| --- " * 7 + "|"]
    for key, found in cells.items():
        setting, seed = json.loads(key)
        changes = ", ".join(f"{name} {value}" for name, value in found["changes"].items()) or "nothing"
        ratio = found["searched_seconds"] / found["seconds"]
        figures = f"{found['defaults']:.3f} | {found['pick']:.3f} | {found['trials']} | {ratio:.1f}"
        lines.append(f"| {setting} | {seed} | {figures} | {changes} |")
    gains = [found["pick"] - found["defaults"] for found in cells.values()]
    return "\n".join([*lines, "", f"pick less defaults: {interval(gains)} over {len(gains)} searches"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with banking77/")
    parser.add_argument("--settings", nargs="+", choices=sorted(CLASSIFICATION), default=CLASSIFICATION)
    parser.add_argument("--seeds", type=int, default=2, help="from 0; each draws its own training rows")
    parser.add_argument("--times", type=float, default=10.0, help="limit of a search, in times of one run")
    parser.add_argument("--budget-minutes", type=float, default=float("inf"), help="start no search after so many")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"), help="where to keep the figures")
    options: Any = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    file = options.results / "searches.json"
    cells: dict[str, Row] = json.loads(file.read_text())["cells"] if file.is_file() else {}
    until = time.monotonic() + 60 * options.budget_minutes
    for seed in range(options.seeds):
        for setting in options.settings:
            key = json.dumps([setting, seed])
            if key in cells or time.monotonic() > until:
                continue
            cells[key] = measured(setting, seed, options.data, options.times)
            file.write_text(json.dumps({"cells": cells, "environment": environment()}, indent=1) + "\n")
            print(f"{setting} draw {seed}: {cells[key]}", file=sys.stderr)
    print(table(cells))


if __name__ == "__main__":
    main()
