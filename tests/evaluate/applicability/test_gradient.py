"""The share of the squared gradient is what dense sums would give, and the model is as before."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from planted_rows import job_of, told_apart
from zogan.evaluate.applicability.gradient import TOP, concentration
from zogan.progress import Silent
from zogan.select.eligible import eligible
from zogan.select.job import saliency_batches


def test_it_is_as_with_dense_sums(tmp_path: Path) -> None:
    job = job_of(tmp_path, told_apart())
    model, task, examples = job.task.model(seed=0), job.task, job.examples("train")
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    found = concentration(job, model, Silent())
    assert all(torch.equal(before[name], parameter) for name, parameter in model.named_parameters())
    assert all(parameter.grad is None for parameter in model.parameters())
    weights = eligible(model, whole=task.head(model))
    sums = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    model.eval()
    order = saliency_batches(job)
    for rows in order:
        model.zero_grad()
        loss, targets = task.loss(model, task.collate([examples[row] for row in rows]))
        (loss / targets).backward()  # type: ignore[no-untyped-call]
        for name, weight in weights.items():
            sums[name] += 0 if weight.grad is None else weight.grad**2
    squares = torch.cat([total.flatten() for total in sums.values() if total.any()]).sort(descending=True).values
    assert (found.weights, found.rows) == (len(squares), sum(map(len, order)))
    for share, held in zip(TOP, found.shares, strict=True):
        wanted = float(squares[: int(share * len(squares))].sum() / squares.sum())
        assert held == pytest.approx(wanted, rel=0.02)  # candidates are near the best, not always all of them
    assert found.shares[0] < found.shares[1] < found.shares[2] < 1
