"""A patch that spoils a base is told from one that leaves it as it is, on real tiny models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import data
from planted import planted_job
from zogan.config import ForgettingConfig
from zogan.errors import DataError
from zogan.evaluate.probes.bench import Bench, NotProbedError
from zogan.evaluate.probes.forgetting import forgetting, nearest_rows
from zogan.evaluate.probes.neutral import ENGLISH, JAPANESE, SENTENCES
from zogan.models.load import quiet
from zogan.patch import Patch
from zogan.sparse.attach import Delta
from zogan.tasks import open_job
from zogan.tasks.job import Job


def moved(job: Job, by: float) -> Bench:
    """A bench with a patch that adds noise of this size to a layer."""
    model = job.task.model(seed=0)
    names = job.task.tensor_names(model)
    name = next(name for name in names if "layers.1.mlp.up_proj" in name or "layer.1.output.dense.weight" in name)
    old = model.get_parameter(name).detach().reshape(-1).clone()
    noise = torch.randn(old.shape, generator=torch.Generator().manual_seed(0))
    delta = Delta(torch.arange(old.numel()), old, old + by * noise)
    patch = Patch.capture({name: delta}, names, job.base.fingerprint, job.base.folder, task=job.task.describe())
    return Bench(job, patch, before=None, production=None, adapt=lambda model, patch: model)


def taught(job: Job) -> Job:
    """The same on a base that has learnt the sentences: a model that knows nothing cannot forget."""
    model: Any = job.task.model(seed=0)
    tokenizer: Any = job.task.tokenizer  # type: ignore[attr-defined]
    batch = tokenizer(list(SENTENCES), return_tensors="pt", padding=True)
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(25):
        model(**batch, labels=labels).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    with quiet():
        model.save_pretrained(job.base.folder)
    return open_job(job.config, cache=job.cache)


def test_a_forgotten_language(tmp_path: Path) -> None:
    job = taught(planted_job(tmp_path, "generation"))
    (spoilt,) = forgetting.look(moved(job, 1.0), ForgettingConfig(limit=0.05))
    assert (spoilt.outcome, spoilt.unit, spoilt.before) == ("broken", "nats", None)
    assert spoilt.examples[0].what.startswith("+")
    (clean,) = forgetting.look(moved(job, 1e-4), ForgettingConfig(limit=0.05))
    assert clean.outcome == "kept"
    assert abs(clean.value.value) < 0.01
    (same,) = forgetting.look(moved(job, 0.0), ForgettingConfig())
    assert (same.value.value, same.rows) == (0, len(SENTENCES))


def test_neighbours_that_are_lost(tmp_path: Path) -> None:
    job = planted_job(tmp_path, "classification")
    (spoilt,) = forgetting.look(moved(job, 3.0), ForgettingConfig(limit=0.1))
    assert (spoilt.outcome, spoilt.unit) == ("broken", "share")
    assert "of 10 neighbours lost" in spoilt.examples[0].what
    (clean,) = forgetting.look(moved(job, 1e-4), ForgettingConfig(limit=0.1))
    assert clean.outcome == "kept"
    (same,) = forgetting.look(moved(job, 0.0), ForgettingConfig(limit=0.1))
    assert (same.value.value, same.outcome, same.rows) == (0, "kept", len(SENTENCES))


def test_text_of_the_users(tmp_path: Path) -> None:
    job = planted_job(tmp_path, "generation")
    file = tmp_path / "own.txt"
    file.write_text("the quick fox\nthe quick fox\na lazy dog\n")
    (found,) = forgetting.look(moved(job, 3.0), ForgettingConfig(text=file))
    assert found.rows == 2
    assert found.notes == ("1 of 3 texts are left out: the base cannot read them, or they are alike",)
    assert {one.place for one in found.examples} <= {"own.txt:1", "own.txt:3"}
    assert found.also["after"] == pytest.approx((found.also["base"] or 0) + found.value.value)
    with pytest.raises(DataError, match="cannot be read"):
        forgetting.look(moved(job, 3.0), ForgettingConfig(text=tmp_path / "none.txt"))


def test_neighbours_need_texts(tmp_path: Path) -> None:
    job = planted_job(tmp_path, "classification")
    rows = data.write_jsonl(tmp_path / "few.jsonl", [{"text": "one two"}, {"text": "three"}])
    with pytest.raises(NotProbedError, match="2 texts are too few for 10 neighbours"):
        forgetting.look(moved(job, 1.0), ForgettingConfig(text=rows))


def test_nearest_by_cosine() -> None:
    features = np.array([[1.0, 0.0], [5.0, 0.1], [0.0, 1.0], [0.1, 9.0]])
    assert nearest_rows(features, 1).ravel().tolist() == [1, 0, 3, 2]


def test_sentences_are_short_and_differ() -> None:
    assert len(ENGLISH) == len(JAPANESE) == 40
    assert len(set(SENTENCES)) == 80
    assert max(map(len, SENTENCES)) < 80
    assert all(text.isascii() for text in ENGLISH)
    assert not any(text.isascii() for text in JAPANESE)
