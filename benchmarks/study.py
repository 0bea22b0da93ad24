"""Variants of a configuration against each other over settings and seeds: cells that are kept, and a table of pairs.

A study is a name and a mapping of variants. Those whose names are the same up to the first comma may be one method at
several rates: then the one that is best on the validation rows counts, for each setting and seed. The others are paired
with the first. Each cell is a process of its own and is kept as soon as it is done, so that a table can grow over
several runs. Where cells have figures besides the loss, a second table has them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from scipy.stats import rankdata, t

from curves import SCRIPTS, measured, written
from development import GENERATION, SETTINGS, drawn
from methods import Row, merged
from zogan.environment import environment

SAME_BASE = 1e-2
"""Nats by which the loss of one base may differ from device to device."""


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

    def measure(self, settings: Sequence[str], seeds: int, data: Path, minutes: float, processes: int) -> list[str]:
        """Run what is not kept yet: all variants of a setting after one another, then the next; then the next seed.

        Args:
            settings: names of development settings.
            seeds: from 0.
            data: folder with the tasks.
            minutes: no cell is started after so many.
            processes: how many cells run at once.

        Returns:
            What went wrong, by cell; the others ran all the same.
        """
        failed = []
        until = time.monotonic() + 60 * minutes
        with tempfile.TemporaryDirectory() as scratch, several(processes) as pool:
            running: dict[Future[Row], tuple[str, str, int]] = {}
            missing = self._missing(settings, seeds, data, Path(scratch))
            over = False
            while not over or running:
                while not over and len(running) < processes:
                    over = time.monotonic() > until or (found := next(missing, None)) is None
                    if not over and found is not None:
                        (setting, variant, seed), config, folder = found
                        name = f"{self.name} {setting} {variant} seed {seed}"
                        future = pool.submit(measured if processes == 1 else beside, config, folder, name)
                        running[future] = (setting, variant, seed)
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    place = running.pop(future)
                    if (error := future.exception()) is None:
                        self._keep(*place, {**future.result(), "at_once": processes})
                    else:
                        failed.append(f"{place}: {error}")
                        print(failed[-1], file=sys.stderr)
        return failed

    def _missing(
        self, settings: Sequence[str], seeds: int, data: Path, scratch: Path
    ) -> Iterator[tuple[tuple[str, str, int], Row, Path]]:
        """Cells that are not kept, each with its configuration and the folder with its rows."""
        for seed in range(seeds):
            for setting in settings:
                left = [variant for variant in self.variants if self.key(setting, variant, seed) not in self.kept]
                if not left:
                    continue
                folder = scratch / f"{setting}-{seed}"
                folder.mkdir()
                base = drawn(setting, data, folder, seed)
                for variant in left:
                    change = self.variants[variant]
                    config = merged(base, {part: value for part, value in change.items() if part != "method"})
                    config["method"] = change.get("method", "ours")
                    yield (setting, variant, seed), config, folder

    def _keep(self, setting: str, variant: str, seed: int, found: Row) -> None:
        self.kept[self.key(setting, variant, seed)] = found
        partial = self.file.with_suffix(".partial")
        partial.write_text(json.dumps({"cells": self.kept, "environment": environment()}, indent=1) + "\n")
        partial.replace(self.file)
        print(f"{setting} {variant} seed {seed}: {found['points'][-1]}", file=sys.stderr)

    @property
    def methods(self) -> dict[str, list[str]]:
        """The table's lines, and the variants of each."""
        found: dict[str, list[str]] = {}
        for variant in self.variants:
            found.setdefault(variant.partition(",")[0] if self.picked else variant, []).append(variant)
        return found

    def best(self, setting: str, method: str, seed: int) -> tuple[Row, Row] | None:
        """The cell and the epoch's end that validate best of a method's variants; None until all are measured."""
        keys = [self.key(setting, variant, seed) for variant in self.methods[method]]
        if not all(key in self.kept for key in keys):
            return None
        found = [(self.kept[key], point) for key in keys for point in self.kept[key]["points"]]
        return min(found, key=lambda pair: list(pair[1]["validation"]))

    def refuse_several_bases(self, setting: str, seed: int) -> None:
        """What two machines converted may differ, and with it every loss: the base's own on unrelated text tells."""
        found = {
            variant: cell["after"]["unrelated_before"]
            for variant in self.variants
            if "after" in (cell := self.kept.get(self.key(setting, variant, seed), {}))
        }
        if found and max(found.values()) - min(found.values()) > SAME_BASE:
            raise SystemExit(f"{setting}, seed {seed}: these cells were measured on bases that differ: {found}")

    def figures(self, setting: str, seeds: int) -> dict[str, dict[int, float]]:
        """By method and seed: the figure on the held-out rows, at the epoch and rate that are best on validation."""
        found: dict[str, dict[int, float]] = {method: {} for method in self.methods}
        for seed in range(seeds):
            self.refuse_several_bases(setting, seed)
        for method, by_seed in found.items():
            for seed in range(seeds):
                if pair := self.best(setting, method, seed):
                    by_seed[seed] = pair[1]["figure"]
        return found

    def table(self, settings: Sequence[str], seeds: int) -> str:
        """Markdown: the mean of each setting; over all pairs the mean difference from the first variant with its 95 %
        interval (Student's t over pairs), and the mean rank among the variants."""
        found = {setting: figures for setting in settings if any((figures := self.figures(setting, seeds)).values())}
        first, *_ = self.methods
        pairs: dict[str, list[float]] = {method: [] for method in self.methods}
        ranks: dict[str, list[float]] = {method: [] for method in self.methods}
        for setting, figures in found.items():
            sign = -1 if setting in GENERATION else 1  # there it is a loss
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

    def beside(self, settings: Sequence[str], seeds: int) -> str:
        """Markdown: what cells of a generation have measured besides the loss, where there are such, at the picked
        rate: chrF of answers, and by how much the loss on unrelated text rose from the base's (nats a token)."""
        found: dict[str, dict[str, list[Row]]] = {}
        for setting in settings:
            for method in self.methods:
                pairs = [pair for seed in range(seeds) if (pair := self.best(setting, method, seed))]
                if cells := [cell["after"] for cell, _ in pairs if "after" in cell]:
                    found.setdefault(setting, {})[method] = cells
        if not found:
            return ""
        heads = [f"{setting}, {what}" for setting in found for what in ("chrF", "rise of unrelated loss")]
        lines = ["| " + " | ".join(["method", *heads]) + " |", "| --- " * (len(heads) + 1) + "|"]
        for method in self.methods:
            figures = []
            for by_method in found.values():
                cells = by_method.get(method, [])
                figures.append(mean([cell["chrf"] for cell in cells]))
                figures.append(mean([cell["unrelated"] - cell["unrelated_before"] for cell in cells]))
            lines.append("| " + " | ".join([method, *figures]) + " |")
        return "\n" + "\n".join(lines) + "\n"


def several(processes: int) -> Executor:
    """What runs cells: processes that have imported everything already, or where it is one at a time, a thread."""
    if processes == 1:
        return ThreadPoolExecutor(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # each has a core, and no more
    context = get_context("forkserver")
    context.set_forkserver_preload(["curve_cell"])
    return ProcessPoolExecutor(processes, mp_context=context)


def beside(config: Row, folder: Path, name: str) -> Row:
    """A cell in this process, beside others: its figures are of use, and its seconds are not."""
    if config["method"] in SCRIPTS:
        return measured(config, folder, name)
    from curve_cell import cell

    return cell(written(config, folder), last=True)


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


CLASSIFICATION = tuple(setting for setting in SETTINGS if setting not in GENERATION)


def run(
    name: str,
    variants: Mapping[str, Row],
    doc: str | None,
    *,
    picked: bool = False,
    settings: Sequence[str] = CLASSIFICATION,
) -> None:
    """The command line of a study."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with banking77/ and e2e-cleaned/")
    parser.add_argument("--settings", nargs="+", choices=sorted(SETTINGS), default=settings, help="these alone")
    parser.add_argument("--variants", nargs="+", choices=list(variants), default=list(variants), help="these alone")
    parser.add_argument("--seeds", type=int, default=5, help="from 0; each draws its own training rows")
    parser.add_argument("--budget-minutes", type=float, default=float("inf"), help="start no cell after so many")
    parser.add_argument("--processes", type=int, default=1, help="cells at once; seconds are comparable at one alone")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"), help="where to keep the figures")
    options: Any = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    kept = {variant: variants[variant] for variant in options.variants}
    study = Study(name, kept, options.results / f"study-{name}.json", picked)
    failed = study.measure(options.settings, options.seeds, options.data, options.budget_minutes, options.processes)
    text = study.table(options.settings, options.seeds) + study.beside(options.settings, options.seeds)
    (options.results / f"study-{name}.md").write_text(text, encoding="utf-8")
    print(text)
    if failed:
        raise SystemExit("\n".join(failed))
