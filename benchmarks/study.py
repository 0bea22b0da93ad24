"""Variants of a configuration against each other over settings and seeds: cells that are kept, and a table of pairs.

A study is a name and a mapping of variants. Those whose names are the same up to the first comma may be one method at
several rates: then the one that is best on the validation rows counts, for each setting and seed. The others are paired
with the first. Each cell is a process of its own and is kept as soon as it is done, so that a table can grow over
several runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import rankdata, t

from curves import measured
from development import SETTINGS, drawn
from methods import Row, merged
from zogan.environment import environment


@dataclass
class Study:
    """Cells of one study.

    Args:
        name: of its files.
        variants: name to what it changes in the configuration; the first is what the others are held against.
        file: where the cells are kept.
        picked: whether variants of one method stand in the table as one.
    """

    name: str
    variants: Mapping[str, Row]
    file: Path
    picked: bool = False

    def __post_init__(self) -> None:
        self.kept: dict[str, Row] = json.loads(self.file.read_text())["cells"] if self.file.is_file() else {}

    def key(self, setting: str, variant: str, seed: int) -> str:
        return json.dumps([setting, seed, self.variants[variant]], sort_keys=True)

    def measure(self, settings: Sequence[str], seeds: int, data: Path, minutes: float) -> None:
        """Run what is not kept yet: all variants of a setting after one another, then the next; then the next seed."""
        until = time.monotonic() + 60 * minutes
        for seed in range(seeds):
            for setting in settings:
                missing = [variant for variant in self.variants if self.key(setting, variant, seed) not in self.kept]
                with tempfile.TemporaryDirectory() as scratch:
                    base = drawn(setting, data, Path(scratch), seed) if missing else {}
                    for variant in missing:
                        if time.monotonic() > until:
                            return
                        self._run(setting, variant, seed, base, Path(scratch))

    def _run(self, setting: str, variant: str, seed: int, base: Row, folder: Path) -> None:
        change = self.variants[variant]
        config = merged(base, {part: value for part, value in change.items() if part != "method"})
        config["method"] = change.get("method", "ours")
        found = measured(config, folder, f"{self.name} {setting} {variant}")
        self.kept[self.key(setting, variant, seed)] = found
        self.file.write_text(json.dumps({"cells": self.kept, "environment": environment()}, indent=1) + "\n")
        print(f"{setting} {variant} seed {seed}: {found['points'][-1]}", file=sys.stderr)

    @property
    def methods(self) -> dict[str, list[str]]:
        """The table's lines, and the variants of each."""
        found: dict[str, list[str]] = {}
        for variant in self.variants:
            found.setdefault(variant.partition(",")[0] if self.picked else variant, []).append(variant)
        return found

    def figures(self, setting: str, seeds: int) -> dict[str, dict[int, float]]:
        """By method and seed: the figure on the held-out rows, at the epoch and rate that are best on validation."""
        found: dict[str, dict[int, float]] = {}
        for method, variants in self.methods.items():
            found[method] = {}
            for seed in range(seeds):
                keys = [self.key(setting, variant, seed) for variant in variants]
                if all(key in self.kept for key in keys):
                    points = [point for key in keys for point in self.kept[key]["points"]]
                    found[method][seed] = min(points, key=lambda point: point["validation"])["figure"]
        return found

    def table(self, settings: Sequence[str], seeds: int) -> str:
        """Markdown: the mean of each setting; over all pairs the mean difference from the first variant with its 95 %
        interval (Student's t over pairs), and the mean rank among the variants."""
        found = {setting: figures for setting in settings if any((figures := self.figures(setting, seeds)).values())}
        first, *_ = self.methods
        pairs: dict[str, list[float]] = {method: [] for method in self.methods}
        ranks: dict[str, list[float]] = {method: [] for method in self.methods}
        for setting, figures in found.items():
            sign = -1 if setting.startswith("e2e") else 1  # there it is a loss
            whole = [s for s in range(seeds) if all(s in by_seed for by_seed in figures.values())]
            for seed in whole:
                ranked = rankdata([-sign * figures[method][seed] for method in self.methods])
                for method, rank in zip(self.methods, ranked, strict=True):
                    ranks[method].append(float(rank))
            for method, by_seed in figures.items():
                pairs[method] += [sign * (by_seed[s] - figures[first][s]) for s in by_seed if s in figures[first]]
        lines = [
            "| " + " | ".join(["method", *found, f"less {first}", "mean rank"]) + " |",
            "| --- " * (len(found) + 3) + "|",
        ]
        for method in self.methods:
            cells = [mean(list(found[setting][method].values())) for setting in found]
            rank = f"{statistics.mean(ranks[method]):.2f}" if ranks[method] else "–"
            lines.append("| " + " | ".join([method, *cells, interval(pairs[method]), rank]) + " |")
        return "\n".join(lines) + "\n"


def mean(values: Sequence[float]) -> str:
    if not values:
        return "–"
    spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{spread} ({len(values)})"


def interval(differences: Sequence[float]) -> str:
    """Mean and half width of the 95 % interval."""
    if len(differences) < 2:
        return "–"
    half = t.ppf(0.975, len(differences) - 1) * statistics.stdev(differences) / len(differences) ** 0.5
    return f"{statistics.mean(differences):+.4f} ± {half:.4f}"


def run(name: str, variants: Mapping[str, Row], doc: str | None, *, picked: bool = False) -> None:
    """The command line of a study."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with banking77/ and e2e-cleaned/")
    usual = [setting for setting in SETTINGS if not setting.startswith("e2e")]
    parser.add_argument("--settings", nargs="+", choices=sorted(SETTINGS), default=usual, help="these alone")
    parser.add_argument("--variants", nargs="+", choices=list(variants), default=list(variants), help="these alone")
    parser.add_argument("--seeds", type=int, default=5, help="from 0; each draws its own training rows")
    parser.add_argument("--budget-minutes", type=float, default=float("inf"), help="start no cell after so many")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"), help="where to keep the figures")
    options: Any = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    kept = {variant: variants[variant] for variant in options.variants}
    study = Study(name, kept, options.results / f"study-{name}.json", picked)
    study.measure(options.settings, options.seeds, options.data, options.budget_minutes)
    text = study.table(options.settings, options.seeds)
    (options.results / f"study-{name}.md").write_text(text, encoding="utf-8")
    print(text)
