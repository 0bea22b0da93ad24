"""What benchmarks of a step share: the batch, and methods that take their steps in turn within one process.

So a machine that slows down slows them all, and the ratio of neighbours holds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch import nn

from zogan.tasks.labelled import labelled_losses

ROWS, TIME = 4, 128

Batch = dict[str, torch.Tensor]
Loss = Callable[[nn.Module, Batch], torch.Tensor]
Step = Callable[[Batch], float]


def batch(vocabulary: int, seed: int) -> Batch:
    ids = torch.randint(0, vocabulary, (ROWS, TIME), generator=torch.Generator().manual_seed(seed))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}


def transformers_loss(model: nn.Module, one: Batch) -> torch.Tensor:
    loss: torch.Tensor = model(**one, use_cache=False).loss
    return loss


def zogan_loss(model: nn.Module, one: Batch) -> torch.Tensor:
    losses, _ = labelled_losses(model, one)
    return losses.mean()


def stepper(model: nn.Module, rate: float, loss: Loss) -> Step:
    """Forward, backward and AdamW on whatever trains; where nothing does, forward and backward alone."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate) if trained else None

    def step(one: Batch) -> float:
        start = time.perf_counter()
        loss(model, one).backward()  # type: ignore[no-untyped-call]
        if optimizer:
            optimizer.step()
            optimizer.zero_grad()
        return time.perf_counter() - start

    return step


def in_turn(steps: Mapping[str, Step], vocabulary: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each method's steps; the first, which warms up, is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for count in range(rounds + 1):
        one = batch(vocabulary, count)
        for name, step in steps.items():
            taken = step(one)
            if count:
                seconds[name].append(taken)
    return seconds


def ratio(ours: list[float], theirs: list[float]) -> float:
    """Median of the ratios of neighbours."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
