"""Sentence-encoder folders of old and new make, and those that hold more than zogan knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tiny import tiny_encoder
from zogan.errors import ModelError
from zogan.models import load_body, open_base
from zogan.models.sentence import Pooling, read_json, read_sentence

TRANSFORMER = {"path": "", "type": "sentence_transformers.models.Transformer"}
POOLING = {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
NORMALIZE = {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}


def write(folder: Path, modules: object, pooling: object = None) -> Path:
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return folder


@pytest.mark.parametrize(
    ("pooling", "mode"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_cls_token": True}, "cls"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode_mean_sqrt_len_tokens": True}, "mean_sqrt_len_tokens"),
        ({"pooling_mode_lasttoken": True}, "last"),
        ({"pooling_mode": "mean"}, "mean"),
        ({"pooling_mode": ["cls"]}, "cls"),
        ({"pooling_mode": "lasttoken", "pooling_mode_mean_tokens": True}, "last"),
    ],
)
def test_pooling_of_either_style(tmp_path: Path, pooling: dict[str, Any], mode: Any) -> None:
    found = read_sentence(write(tmp_path, [TRANSFORMER, POOLING], pooling))
    assert found is not None
    assert (found.pooling, found.body, found.max_length) == (Pooling(mode, normalize=False), tmp_path, None)


def test_normalisation(tmp_path: Path) -> None:
    dropout = {"path": "3_Dropout", "type": "sentence_transformers.models.Dropout"}
    modules = [TRANSFORMER, POOLING, NORMALIZE, dropout]
    found = read_sentence(write(tmp_path, modules, {"pooling_mode": "mean"}))
    assert found is not None
    assert found.pooling.normalize


def test_a_folder_of_another_kind(tmp_path: Path) -> None:
    assert read_sentence(tmp_path) is None


@pytest.mark.parametrize("pooling", [{"pooling_mode": "mean"}])
@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ({}, "holds no list of modules"),
        ([1], "holds no list of modules"),
        ([TRANSFORMER], "names no Transformer or no Pooling"),
        ([POOLING], "names no Transformer or no Pooling"),
        ([TRANSFORMER, {**POOLING, "path": "../else"}], "'../else' leads out of the folder"),
        ([TRANSFORMER, {**POOLING, "path": "/else"}], "'/else' leads out of the folder"),
        ([TRANSFORMER, {**POOLING, "path": 1}], "1 leads out of the folder"),
        (
            [TRANSFORMER, POOLING, {"path": "2_Dense", "type": "a.Dense"}],
            "'Dense' cannot be used. To use the body alone",
        ),
        ([TRANSFORMER, POOLING, POOLING], "'Pooling' cannot be used"),
        ([TRANSFORMER, {**POOLING, "path": "absent"}], "cannot be read: No such file"),
    ],
)
def test_modules_that_are_refused(tmp_path: Path, modules: object, pooling: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_sentence(write(tmp_path, modules, pooling))


@pytest.mark.parametrize(
    ("pooling", "message"),
    [
        ({}, "pooling 'none' cannot be used"),
        ([], "pooling 'none' cannot be used"),
        ({"pooling_mode": "weightedmean"}, "pooling 'weightedmean' cannot be used"),
        ({"pooling_mode": ["mean", "cls"]}, r"pooling 'mean \+ cls' cannot be used"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, r"pooling 'mean \+ max' cannot be used"),
    ],
)
def test_poolings_that_are_refused(tmp_path: Path, pooling: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_sentence(write(tmp_path, [TRANSFORMER, POOLING], pooling))


@pytest.mark.parametrize(
    ("config", "length"), [({"max_seq_length": 7}, 7), ({"max_seq_length": None}, None), ([], None)]
)
def test_length(tmp_path: Path, config: object, length: int | None) -> None:
    write(tmp_path, [TRANSFORMER, POOLING], {"pooling_mode": "mean"})
    (tmp_path / "sentence_xlm-roberta_config.json").write_text(json.dumps(config))
    found = read_sentence(tmp_path)
    assert found is not None
    assert found.max_length == length


def test_a_body_in_its_own_folder(tmp_path: Path) -> None:
    body = tiny_encoder(tmp_path / "0_Transformer")
    write(tmp_path, [{**TRANSFORMER, "path": "0_Transformer"}, POOLING], {"pooling_mode": "max"})
    (body / "sentence_bert_config.json").write_text('{"max_seq_length": 30}')
    base = open_base(str(tmp_path), cache=tmp_path / "cache")
    assert (base.folder, base.pooling, base.max_length) == (body, Pooling("max", normalize=False), 30)
    load_body(base)


def test_json_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(ModelError, match=r"a.json: not readable as JSON"):
        read_json(tmp_path / "a.json")
