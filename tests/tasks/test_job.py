"""A configuration becomes a base, rows and a task."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

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


@pytest.mark.parametrize(
    ("changes", "rows", "expected"),
    [
        ({}, 60, 2.0),
        ({}, 1500, 0.0),
        ({"regularize": {"r_drop": 0.5}}, 1500, 0.5),
        ({"regularize": {"r_drop": 0.0}}, 60, 0.0),
        ({"method": "full"}, 60, 0.0),
        ({"train": {"balance": "weights"}}, 60, 0.0),
        ({"budget": {"time": 0.5}}, 60, 0.0),
        ({"budget": {"memory": "4GB"}}, 60, 0.0),
    ],
)
def test_few_rows_pass_twice(tmp_path: Path, changes: dict[str, Any], rows: int, expected: float) -> None:
    tiny_encoder(tmp_path / "base")
    written = [{"text": f"text {place}", "label": f"label {place % 3}"} for place in range(rows)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in written), encoding="utf-8")
    splits = {"train": "train.jsonl", "validation": None, "test": None}
    for dropout in (0.1, 0.0):
        about = tmp_path / "base" / "config.json"
        tree = json.loads(about.read_text(encoding="utf-8"))
        rates = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout, "classifier_dropout": 0.1}
        about.write_text(json.dumps(tree | rates), encoding="utf-8")
        job = open_job(data.make_config(tmp_path, data=splits, **changes), cache=tmp_path / "cache")
        asked = changes.get("regularize")
        assert job.config.regularize.r_drop == (expected if dropout or asked else 0.0)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"task": "generation"}, 4),
        ({"task": "generation", "adapters": {"two_stage": "auto"}}, 4),
        ({"task": "generation", "regularize": {"interpolate": 0}}, 0),
        ({"task": "generation", "regularize": {"interpolate": 7}}, 7),
        ({"task": "generation", "method": "lora"}, None),
        ({"task": "generation", "method": "full"}, None),
        ({"task": "generation", "train": {"folds": 3}}, None),
        ({"task": "classification"}, None),
    ],
)
def test_a_generation_looks_on_the_way_by_itself(tmp_path: Path, keys: dict[str, Any], expected: int | None) -> None:
    config = data.make_config(tmp_path, **keys).for_data(labels=2, rows=50, dropout=True)
    assert config.regularize.interpolate == expected
    assert len(config.regularize.points) == (expected + 2 if expected else 0)


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
