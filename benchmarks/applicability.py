"""Claim: what `zogan check` answers before tuning is what tuning then shows.

On each setting check looks at training and validation rows alone; then the figures on held-out rows are set against
its answer: of the untuned (a head alone, or for generation the base), of ours by its defaults, and of the best of LoRA
and full fine-tuning where there is such a cell. Cells of other benchmarks that fit are taken from benchmarks/results/;
the others are tuned here, each in a process of its own, and kept.

    python benchmarks/applicability.py --data FOLDER [--settings banking77-3 sentiment-50] [--budget-minutes 25]

FOLDER holds banking77/, e2e-cleaned/ and jcommonsenseqa/, each with its rows as JSONL.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import curves
import development
import zogan
from methods import Row, merged
from quality import RATES
from zogan.config import parse_config
from zogan.data.batch import batch_size
from zogan.environment import environment
from zogan.evaluate.applicability.result import IN_WORDS
from zogan.pilot import HEAD_ONLY
from zogan.tasks import open_job

Make = Callable[[Path, Path, int, int], Row]

SETTINGS: dict[str, tuple[Make, int]] = {
    "sentiment-50": (development.sentiment, 50),
    "sentiment-200": (development.sentiment, 200),
    "banking77-3": (development.banking77, 3),
    "banking77-5": (development.banking77, 5),
    "banking77-10": (development.banking77, 10),
    "banking77-30": (development.banking77, 30),
    "dialogues-200": (development.support_dialogues, 200),
    "jcommonsenseqa-200": (development.jcommonsenseqa, 200),
    "e2e-cleaned-400": (development.e2e, 400),
}
"""Name to what draws its rows, and how many (of a classification: a class)."""

LARGER = {
    "banking77-3": "banking77-5",
    "banking77-5": "banking77-10",
    "banking77-10": "banking77-30",
    "sentiment-50": "sentiment-200",
}
"""The same task with more rows."""

KEPT_KEYS = ("epochs", "head_rate", "head_start", "batch_size", "tokens_per_batch", "weight_decay")
HEAD: Row = {"method": "head", "train": {**{key: HEAD_ONLY[key] for key in KEPT_KEYS}, "patience": None}}
"""A head alone, in the keys by which quality.py has kept it; the others are their defaults."""

LORA: Row = {"method": "lora", "train": {"rate": 1e-3}}

OTHERS = tuple({"method": method, "train": {"rate": rate}} for method in ("full", "lora") for rate in RATES[method])
"""Of those that are kept, the one that is best on validation counts."""

TUNED: dict[str, tuple[Row, ...]] = {
    "banking77-3": (HEAD, {}),
    "banking77-30": (HEAD,),
    "dialogues-200": ({}, LORA),
    "jcommonsenseqa-200": ({}, LORA),
}
"""Cells that no other benchmark has measured."""

STUDY = "study-quality.json"

WORTH = {"classification": 0.01, "generation": 0.02}
"""The least difference that counts: a share of rows, or nats a token."""


@dataclass
class Figures:
    """What tuning gave on held-out rows: accuracy, or minus the loss, so that more is better. None: not measured."""

    untuned: float | None
    ours: float | None
    others: float | None


class Kept:
    """Checks and cells, in a file."""

    def __init__(self, results: Path) -> None:
        self.results, self.file = results, results / "applicability.json"
        tree = json.loads(self.file.read_text()) if self.file.is_file() else {}
        self.checks: dict[str, Row] = tree.get("checks", {})
        self.cells: dict[str, Row] = tree.get("cells", {})
        self.elsewhere: dict[str, Row] = json.loads((results / STUDY).read_text())["cells"]

    def write(self) -> None:
        """Whole or not at all."""
        partial = self.file.with_suffix(".partial")
        tree = {"checks": self.checks, "cells": self.cells, "environment": environment()}
        partial.write_text(json.dumps(tree, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        partial.replace(self.file)

    def cell(self, setting: str, change: Row) -> Row | None:
        """From here or from another benchmark."""
        key = json.dumps([setting, 0, change], sort_keys=True)
        return self.cells.get(key) or self.elsewhere.get(key)

    def best(self, setting: str, changes: Sequence[Row]) -> float | None:
        """The held-out figure, at the setting and epoch that are best on validation."""
        cells = [cell for change in changes if (cell := self.cell(setting, change)) is not None]
        points = [point for cell in cells for point in cell["points"]]
        if not points:
            return None
        figure = float(min(points, key=lambda point: list(point["validation"]))["figure"])
        return -figure if setting in TEXTS else figure

    def figures(self, setting: str) -> Figures:
        """All that is kept of a setting."""
        untuned = self._base(setting) if setting in TEXTS else self.best(setting, (HEAD,))
        return Figures(untuned, self.best(setting, ({},)), self.best(setting, OTHERS))

    def _base(self, setting: str) -> float | None:
        found = self.checks.get(setting)
        return None if found is None else -float(found["held_out"])


TEXTS = ("dialogues-200", "jcommonsenseqa-200", "e2e-cleaned-400")
"""Settings whose figure is a loss."""


def config_of(setting: str, data: Path, folder: Path) -> Row:
    """Write the setting's rows, the draw of seed 0; the configuration of all methods."""
    make, rows = SETTINGS[setting]
    tree = {key: value for key, value in make(data, folder, rows, 0).items() if key != "after"}
    return {**tree, "train": {**tree["train"], "seed": 0}}


def look(kept: Kept, setting: str, data: Path) -> None:
    """Check a setting, and for a generation take the base's loss on the held-out rows, which check does not see."""
    with tempfile.TemporaryDirectory() as scratch:
        job = open_job(parse_config(config_of(setting, data, Path(scratch)), folder=Path(scratch)))
        begun = time.perf_counter()
        found = zogan.check(job)
        seconds = time.perf_counter() - begun
        row = {**found.model_dump(mode="json", exclude={"doubts"}), "doubts": len(found.doubts), "seconds": seconds}
        if setting in TEXTS:
            model = job.task.model(seed=0, dtype=job.dtype)
            row["held_out"] = job.task.monitor(model, job.examples("test"), batch_size(job.config.evaluate)).loss
        kept.checks[setting] = row
        kept.write()
        print(f"{setting}: {found.answer}: {found.reason}", file=sys.stderr)


def tune(kept: Kept, setting: str, change: Row, data: Path) -> None:
    """Measure a cell, unless it is there."""
    key = json.dumps([setting, 0, change], sort_keys=True)
    if kept.cell(setting, change) is not None:
        return
    with tempfile.TemporaryDirectory() as scratch:
        base = config_of(setting, data, Path(scratch))
        config = merged(base, {part: value for part, value in change.items() if part != "method"})
        config["method"] = change.get("method", "ours")
        kept.cells[key] = curves.measured(config, Path(scratch), key)
        kept.write()


def right(kept: Kept, setting: str, answer: str) -> bool | None:
    """Whether what tuning gave bears the answer out; None where that was not measured."""
    found, worth = kept.figures(setting), WORTH["generation" if setting in TEXTS else "classification"]
    if found.untuned is None or found.ours is None:
        return None
    gain = found.ours - found.untuned
    ahead = None if found.others is None else found.others - found.ours
    if answer == "not_needed":
        return gain < worth and (ahead is None or gain + ahead < worth)
    if answer == "suited":
        return gain >= worth and (ahead is None or ahead < worth)
    if answer == "adapters_or_full":
        return None if ahead is None else ahead >= worth
    larger = kept.figures(LARGER[setting]).untuned if setting in LARGER else None
    return None if larger is None else larger > found.ours


def table(kept: Kept) -> str:
    """Markdown."""
    lines = [
        "| setting | check says | untuned | ours | LoRA, full | borne out | check took |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for setting in SETTINGS:
        if (found := kept.checks.get(setting)) is None:
            continue
        figures = kept.figures(setting)
        told = ["–" if one is None else f"{abs(one):.3f}" for one in (figures.untuned, figures.ours, figures.others)]
        held = {True: "yes", False: "**no**", None: "not measured"}[right(kept, setting, found["answer"])]
        cells = [setting, IN_WORDS[found["answer"]], *told, held, f"{found['seconds']:.0f} s"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the tasks' rows")
    parser.add_argument("--settings", nargs="+", choices=list(SETTINGS), default=list(SETTINGS), help="these alone")
    parser.add_argument("--anew", action="store_true", help="check again where a check is kept")
    parser.add_argument("--budget-minutes", type=float, default=float("inf"), help="begin nothing after so many")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"), help="where to keep the figures")
    options: Any = parser.parse_args()
    kept, until = Kept(options.results), time.monotonic() + 60 * options.budget_minutes
    for setting in options.settings:
        if time.monotonic() < until and (options.anew or setting not in kept.checks):
            look(kept, setting, options.data)
    for setting in options.settings:
        for change in TUNED.get(setting, ()):
            if time.monotonic() < until:
                tune(kept, setting, change, options.data)
    text = table(kept)
    (options.results / "applicability.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
