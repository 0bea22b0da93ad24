"""Evaluation leaves a model as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tiny import tiny_decoder
from zogan.data.rows import Place, dialogue
from zogan.models import open_base
from zogan.tasks.generation import Generation
from zogan.tasks.inference import batches, evaluating


def test_modes_come_back_one_by_one_even_after_a_fault() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout())).train()
    model[1].eval()
    modes = [module.training for module in model.modules()]
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), evaluating(model):
        model(torch.zeros(1, 3))
    assert [module.training for module in model.modules()] == modes
    assert torch.is_grad_enabled()


def test_what_a_module_keeps_can_be_trained_with_later() -> None:
    model = nn.Linear(2, 2)
    with evaluating(model):
        kept = model(torch.ones(1, 2))
    (model.weight * kept).sum().backward()
    assert model.weight.grad is not None


def test_every_row_stands_in_one_batch_longest_first(tmp_path: Path) -> None:
    task = Generation(open_base(str(tiny_decoder(tmp_path / "base")), cache=tmp_path / "cache"), max_length=64)
    examples = task.encode([dialogue("a" * size, "b", Place("t", size)) for size in (3, 30, 9, 1)])
    found = list(batches(task, task.model(seed=0), examples, 3))
    assert [indices for indices, _ in found] == [[1, 2, 0], [3]]
    assert [batch["input_ids"].shape[0] for _, batch in found] == [3, 1]
