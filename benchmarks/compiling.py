"""Claim: compiled layers (`train.compile`) take a step faster, and pay where there are steps enough.

The sparse steps of step.py, with the model's layers compiled and as they are, in turn; the median of the ratios of
neighbours. What compiling takes, the first step, is told beside it.

    python benchmarks/compiling.py --rounds 7
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from keeping import keep
from step import METHODS, load
from turns import batch, in_turn, ratio
from zogan.models.cut import stacks
from zogan.sparse.compiled import compiled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="steps of each")
    parser.add_argument("--density", type=float, default=0.005, help="share of the weights that trains")
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    options = parser.parse_args()
    models = {name: load() for name in ("eager", "compiled")}
    steps = {name: METHODS["sparse"](model, options.density) for name, model in models.items()}
    vocabulary = models["eager"].config.vocab_size
    with compiled(next(iter(stacks(models["compiled"]).values()))):
        first = steps["compiled"](batch(vocabulary, 0))
        seconds = in_turn(steps, vocabulary, options.rounds)
    found = {name: statistics.median(taken) for name, taken in seconds.items()}
    found |= {"first": first, "ratio": ratio(seconds["compiled"], seconds["eager"])}
    print("| first step s | eager s | compiled s | ratio |")
    print("| --- | --- | --- | --- |")
    print(f"| {first:.1f} | {found['eager']:.2f} | {found['compiled']:.2f} | {found['ratio']:.2f} |")
    keep(options.json, steps=found)


if __name__ == "__main__":
    main()
