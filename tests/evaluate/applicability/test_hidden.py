"""Pooled states are what a head reads, and neighbours are what cosine says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from planted_rows import job_of, told_apart
from tiny_project import tiny_config, write_project
from zogan.data.rows import DialogueRow
from zogan.evaluate.applicability.hidden import LAYERS, layers_of, nearest, prompts_of, spaced
from zogan.progress import Silent
from zogan.tasks import open_job
from zogan.tasks.classification import Classification
from zogan.tasks.generation import Generation


def test_the_last_layer_is_what_a_head_reads(tmp_path: Path) -> None:
    job = job_of(tmp_path, told_apart())
    assert isinstance(job.task, Classification)
    model, examples = job.task.model(seed=0), job.examples("train")
    found = layers_of(job, model, examples, 16, Silent())
    assert found.shape == (3, 90, 32)  # what the embeddings give, and two layers
    assert np.allclose(found[-1], job.task.features(model, examples, 16).numpy(), atol=1e-5)
    assert not np.allclose(found[0], found[-1])


def test_prompts_are_pooled_without_their_answers(tmp_path: Path) -> None:
    write_project(tmp_path, "generation")
    job = open_job(tiny_config(tmp_path), cache=tmp_path / "cache")
    task, rows = job.task, [row for row in job.splits.train[:5] if isinstance(row, DialogueRow)]
    assert isinstance(task, Generation)
    assert len(rows) == 5
    examples = prompts_of(task, rows)
    assert [example.ids for example in examples] == task.format.prompts(rows)
    model = task.model(seed=0)
    found = layers_of(job, model, examples, 2, Silent())
    with torch.no_grad():
        ids = torch.tensor([examples[3].ids])
        alone = model.base_model(ids).last_hidden_state.mean(dim=1)  # type: ignore[operator]
    assert np.allclose(found[-1, 3], alone[0].numpy(), atol=1e-5)


@pytest.mark.parametrize(("number", "kept"), [(3, [0, 1, 2]), (LAYERS, list(range(LAYERS)))])
def test_few_layers_are_all_looked_at(number: int, kept: list[int]) -> None:
    assert spaced(number) == kept


def test_of_many_layers_some_are_looked_at() -> None:
    assert spaced(31) == [0, 4, 9, 13, 17, 21, 26, 30]


def test_the_nearest_are_those_of_the_same_direction_from_the_mean() -> None:
    among = np.array([[10.0, 1.0], [10.0, -1.0], [12.0, 0.0], [8.0, 0.0]])
    found = nearest(np.array([[10.5, 3.0], [7.0, -0.5]]), among, number=2)
    assert found.tolist() == [[0, 2], [3, 1]]
    assert nearest(among, among, number=9).shape == (4, 4)
