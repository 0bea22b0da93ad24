"""The bench in under ten minutes on two cores: step and peak against the peers, and a small curve.

As step.py, with few rounds; and as curves.py, on 60 dialogues of those that `zogan demo generation` tunes on, so that
no folder of rows is needed. The ratios stand on the last line. So few rows show what has become worse, and prove no
claim.

    python benchmarks/quick.py
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from curves import Curve, generation, measure
from envelope import LOSS, ratios, shown, table
from grids import at
from keeping import keep
from methods import write
from zogan.demo.dialogues import clean, cut, read

TRAIN, HELD_OUT = 60, 60
GRID = {
    "ours": [at(2, 3e-2, 2, depth="all", criterion="relative"), at(2, 1.5e-2, 2, depth=15, criterion="relative")],
    "full": [at(4, 1e-4, 2)],
    "lora": [at(2, 2e-3, 2)],
    "shira": [at(2, 3e-3, 2)],
}


def steps(rounds: int, folder: Path) -> dict[str, Any]:
    file = folder / "step.json"
    script = Path(__file__).with_name("step.py")
    subprocess.run([sys.executable, script, "--rounds", str(rounds), "--json", file], check=True)
    figures: dict[str, Any] = json.loads(file.read_text())
    return figures


def curve(folder: Path) -> Curve:
    parts = cut(clean(read())[0], (TRAIN, HELD_OUT, 1), seed=0)
    for name, rows in zip(("train", "held-out", "validation"), parts, strict=True):
        write(folder / f"{name}.jsonl", [{"prompt": row.input, "response": row.target} for row in rows])
    return Curve("dialogues", "dialogues", generation(), folder, GRID, LOSS, folder / "cells.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="steps of each method, after one that is not counted")
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        step = steps(options.rounds, Path(scratch))
        dialogues = curve(Path(scratch))
        measure([dialogues], seeds=1, minutes=float("inf"))
        methods = dialogues.reached(seeds=1)
    found = {**step["ratios"], **ratios(methods, LOSS)}
    print(f"\n{table(methods, LOSS)}\n{shown(found)}")
    keep(options.json, ratios=found, step=step, cells=dialogues.kept)


if __name__ == "__main__":
    main()
