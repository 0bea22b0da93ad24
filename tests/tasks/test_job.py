"""A configuration becomes a base, rows and a task."""

from __future__ import annotations

import json
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


@pytest.mark.parametrize(("labels", "rate"), [(9, 0.002), (10, 0.005)])
def test_many_labels_have_a_faster_head(tmp_path: Path, labels: int, rate: float) -> None:
    tiny_encoder(tmp_path / "base")
    rows = [{"text": f"text {place}", "label": f"label {place % labels}"} for place in range(6 * labels)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for given, expected in ((None, rate), (0.1, 0.1)):
        config = data.make_config(tmp_path, data={"train": "train.jsonl"}, train={"head_rate": given})
        job = open_job(config, cache=tmp_path / "cache")
        assert job.config.train.head_rate == job.config.head_rate == expected


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
