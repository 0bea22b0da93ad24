"""Run a model over many rows without training it: like lengths together, and all as it was afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from zogan.data.batch import BatchSize, ordered
from zogan.tasks.task import Batch, Example, Task


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradient; each module's own mode is restored.

    Not torch's inference mode: what a module keeps from such a pass (a rotary table, written values) could not enter
    a later training step.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def batches(
    task: Task, model: nn.Module, examples: Sequence[Example], size: BatchSize
) -> Iterator[tuple[list[int], Batch]]:
    """Batches on the model's device, longest rows first.

    Returns:
        Pairs of the examples' indices and their batch.
    """
    device = next(model.parameters()).device
    for indices in ordered([len(example.ids) for example in examples], size):
        yield indices, to_device(task.collate([examples[index] for index in indices]), device)


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch's tensors where the model's weights are."""
    return {name: tensor.to(device) for name, tensor in batch.items()}
