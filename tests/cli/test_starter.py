"""The first zogan.yaml: every option, found values, and nothing that the configuration does not know."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml

from zogan.cli.starter import Found, survey, template
from zogan.config import Config, load_config


def write_rows(path: Path, columns: list[str]) -> None:
    if path.suffix == ".jsonl":
        path.write_text(json.dumps(dict.fromkeys(columns, "x")) + "\n", encoding="utf-8")
    else:
        with path.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, delimiter="\t" if path.suffix == ".tsv" else ",").writerow(columns)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".parquet"])
def test_files_and_columns_are_found(tmp_path: Path, suffix: str) -> None:
    for name in ("train", "dev", "test"):
        path = tmp_path / f"{name}{suffix}"
        if suffix == ".parquet":
            parquet = pytest.importorskip("pyarrow.parquet")
            arrow = pytest.importorskip("pyarrow")
            parquet.write_table(arrow.table({"utterance": ["a"], "intent": ["b"]}), path)
        else:
            write_rows(path, ["utterance", "intent"])
    found = survey(tmp_path, model="models/base")
    assert found.missing == ()
    assert found.values == {
        "model": "models/base",
        "task": "classification",
        "data.train": f"train{suffix}",
        "data.validation": f"dev{suffix}",
        "data.test": f"test{suffix}",
        "data.text": "utterance",
        "data.label": "intent",
    }


@pytest.mark.parametrize(
    ("columns", "values"),
    [
        (["instruction", "output"], {"data.prompt": "instruction", "data.response": "output"}),
        (["id", "messages"], {"data.messages": "messages"}),
    ],
)
def test_generation_is_told_from_the_columns(tmp_path: Path, columns: list[str], values: dict[str, str]) -> None:
    write_rows(tmp_path / "support.jsonl", columns)
    found = survey(tmp_path)
    assert found.missing == ("model",)
    assert found.values == {"task": "generation", "data.train": "support.jsonl", **values}


def test_a_model_in_the_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text("{}")
    assert survey(tmp_path).values["model"] == "base"
    (tmp_path / "other.gguf").touch()
    assert "model" not in survey(tmp_path).values


@pytest.mark.parametrize("content", ["", "{", "[1]", "\xff"])
def test_a_file_that_cannot_be_read_is_left_to_the_check(tmp_path: Path, content: str) -> None:
    (tmp_path / "train.jsonl").write_bytes(content.encode("latin-1"))
    assert survey(tmp_path).missing == ("model", "task")


def test_an_empty_or_absent_folder_leaves_all_to_fill_in(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        assert survey(folder).missing == ("model", "task", "data.train")
    text = template(survey(tmp_path))
    assert text.count("FILL IN") == 3


@pytest.mark.parametrize("task", ["classification", "generation"])
def test_the_file_is_a_configuration_that_says_the_defaults(tmp_path: Path, task: str) -> None:
    path = tmp_path / "zogan.yaml"
    path.write_text(template(Found({"task": task, "model": "m", "data.train": "a: b #.jsonl"}, ())), encoding="utf-8")
    config = load_config(path)
    assert config.data.train == tmp_path / "a: b #.jsonl"
    (tmp_path / "plain.yaml").write_text(
        yaml.safe_dump({"model": "m", "task": task, "data": {"train": "a: b #.jsonl"}})
    )
    assert config == load_config(tmp_path / "plain.yaml")


def test_every_option_that_matters_for_the_task_is_there_with_its_meaning() -> None:
    text = template(Found({"task": "generation"}, ("model", "data.train")))
    for section in ("select", "train", "lora", "evaluate"):
        annotation = Config.model_fields[section].annotation
        assert annotation is not None
        for name, field in annotation.model_fields.items():
            if (field.description or "").startswith("classification:"):
                assert f"  {name}: " not in text
                continue
            assert f"  {name}: " in text
            assert (field.description or "").removeprefix("generation: ") in text
    assert "label:" not in text
    assert "prompt: prompt" in text
