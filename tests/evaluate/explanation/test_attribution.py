"""What tokens added sums to what the whole text added."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tiny_project import KINDS, Kind, tiny_config, write_project
from zogan.evaluate.explanation.attribution import attribute
from zogan.evaluate.explanation.reading import ANSWER_TOKENS, reading
from zogan.evaluate.explanation.wanted import a_text, numbered
from zogan.tasks import open_job
from zogan.tasks.job import Job


def opened(folder: Path, kind: Kind) -> Job:
    write_project(folder, kind)
    return open_job(tiny_config(folder), cache=folder / "cache")


def spread(model: nn.Module) -> nn.Module:
    """The same with larger weights: those of a tiny random model hardly tell texts apart."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(5)
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_attributions_add_up(tmp_path: Path, kind: Kind) -> None:
    job = opened(tmp_path, kind)
    model = spread(job.task.model(seed=1))
    one = numbered(job, 3)
    read = reading(job, one, "good")
    found = attribute(job, model, read.asked)
    difference = found.log_probability - found.baseline
    assert float(found.tokens.abs().sum()) > 0.02
    assert float(found.tokens.sum()) == pytest.approx(difference, abs=0.001 + 0.01 * abs(difference))
    assert found.delta == pytest.approx(float(found.tokens.sum()) - difference)
    # What stands in both texts added nothing, and the pieces cover all that does not.
    alike = (read.asked.ids == read.asked.baseline)[0]
    assert alike.any()
    assert float(found.tokens[alike].abs().max()) == 0
    covered = torch.zeros_like(alike)
    for _, start, stop in read.pieces:
        assert not covered[start:stop].any()
        covered[start:stop] = True
    assert torch.equal(covered, ~alike)


def test_the_answer_is_what_it_says(tmp_path: Path) -> None:
    job = opened(tmp_path, "generation")
    one = numbered(job, 1)
    read = reading(job, one, "something else")
    assert read.answer == one.row.target  # the row's own, whatever the model says
    batch = job.task.collate(job.task.encode([one.row]))
    loss, _ = job.task.loss(job.task.model(seed=0), batch)
    found = attribute(job, job.task.model(seed=0), read.asked)
    assert found.log_probability == pytest.approx(-float(loss.detach()), abs=1e-4)


def test_of_a_long_answer_the_first_tokens_are_explained(tmp_path: Path) -> None:
    job = opened(tmp_path, "generation")
    read = reading(job, a_text(job, "Where?"), "parcel " * 20)
    assert int((read.asked.labels >= 0).sum()) == ANSWER_TOKENS
    assert read.answer.endswith("…")
    assert read.asked.ids.shape == read.asked.labels.shape


def test_the_mode_of_a_model_stays(tmp_path: Path) -> None:
    job = opened(tmp_path, "own head")
    model = job.task.model(seed=0).train()
    attribute(job, model, reading(job, numbered(job, 1), "bad").asked)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
