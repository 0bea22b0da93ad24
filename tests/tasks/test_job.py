"""A configuration becomes a base, rows and a task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import data
from tiny import tiny_decoder, tiny_encoder
from zogan.errors import DataError
from zogan.tasks import open_job
from zogan.tasks.classification import Classification
from zogan.tasks.generation import Generation


def test_classification(tmp_path: Path) -> None:
    tiny_encoder(tmp_path / "base")
    config = data.make_config(tmp_path, data=data.write_splits(tmp_path, "classification"), train={"max_length": 4})
    job = open_job(config, cache=tmp_path / "cache")
    assert isinstance(job.task, Classification)
    assert job.task.labels == data.LABELS
    examples = job.examples("train")
    assert len(examples) == 60
    assert job.examples("train") is examples
    assert job.cuts() == {"train": 60}


def test_generation(tmp_path: Path) -> None:
    tiny_decoder(tmp_path / "base")
    config = data.make_config(tmp_path, "generation", data=data.write_splits(tmp_path, "generation"))
    job = open_job(config, cache=tmp_path / "cache")
    assert isinstance(job.task, Generation)
    assert job.task.max_length == 128
    assert len(job.examples("validation")) == 12
    assert job.cuts() == {"validation": 0}


def test_a_split_without_rows_is_named(tmp_path: Path) -> None:
    tiny_decoder(tmp_path / "base")
    config = data.make_config(tmp_path, "generation", data=data.write_splits(tmp_path, "generation"))
    job = open_job(config, cache=tmp_path / "cache")
    empty = replace(job, splits=replace(job.splits, test=()))
    with pytest.raises(DataError, match="test: no rows are left"):
        empty.examples("test")
