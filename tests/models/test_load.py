"""Loading gives what transformers gives, in memory of its own, and says what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

from tiny import tiny_decoder, tiny_encoder
from zogan.errors import IntegrityError, ModelError
from zogan.models import (
    Base,
    load_body,
    load_causal,
    load_classifier,
    load_tokenizer,
    open_base,
    save_folder,
)
from zogan.weights import SINGLE, fingerprint, read_tensor, weight_files

DTYPES = [torch.float32, torch.bfloat16, torch.float16]
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["fp32", "bf16", "fp16"])


def open_here(folder: Path) -> Base:
    return open_base(str(folder), cache=folder.parent / "cache")


def assert_equal(one: nn.Module, other: nn.Module) -> None:
    mine, theirs = one.state_dict(), other.state_dict()
    assert mine.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert mine[name].dtype == tensor.dtype
        assert torch.equal(mine[name], tensor), name


@each_dtype
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("max_shard_size", ["1GB", "20KB"])
def test_equal_to_transformers(tmp_path: Path, dtype: torch.dtype, tied: bool, max_shard_size: str) -> None:
    folder = tiny_decoder(tmp_path / "base", dtype=dtype, tied=tied, max_shard_size=max_shard_size)
    base = open_here(folder)
    ids = torch.arange(20).reshape(2, 10)
    for mine, theirs in (
        (load_causal(base), AutoModelForCausalLM.from_pretrained(folder)),
        (load_body(base), AutoModel.from_pretrained(folder)),
    ):
        assert_equal(mine, theirs)
        assert mine.dtype == dtype
        assert not mine.training
        assert all(parameter.requires_grad for parameter in mine.parameters())
        with torch.no_grad():
            assert torch.equal(mine(input_ids=ids)[0], theirs(input_ids=ids)[0])


@each_dtype
def test_a_classifier_is_equal_to_transformers(tmp_path: Path, dtype: torch.dtype) -> None:
    folder = tiny_encoder(tmp_path / "base", labels=["a", "b"], dtype=dtype)
    base = open_here(folder)
    assert_equal(load_classifier(base), AutoModelForSequenceClassification.from_pretrained(folder))
    assert_equal(load_body(base), AutoModel.from_pretrained(folder))


@each_dtype
def test_in_another_dtype(tmp_path: Path, dtype: torch.dtype) -> None:
    base = open_here(tiny_decoder(tmp_path / "base", dtype=torch.bfloat16))
    assert_equal(load_causal(base, dtype=dtype), load_causal(base).to(dtype))


def test_most_values_give_the_dtype(tmp_path: Path) -> None:
    folder = tiny_decoder(tmp_path / "base", dtype=torch.bfloat16)
    tensors = load_file(folder / SINGLE)
    save_file(
        {name: t.float() if "norm" in name else t for name, t in tensors.items()}, folder / SINGLE, {"format": "pt"}
    )
    model = load_causal(open_here(folder))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_a_loaded_model_does_not_see_the_folder_change(tmp_path: Path) -> None:
    folder = tiny_decoder(tmp_path / "base")
    model = load_causal(open_here(folder))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with (folder / SINGLE).open("r+b") as stream:
        stream.seek(-2000, 2)
        stream.write(b"\x3f" * 2000)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not [line for line in Path("/proc/self/maps").read_text().splitlines() if str(folder) in line]
    tied = dict(model.named_parameters(remove_duplicate=False))
    assert tied["lm_head.weight"] is tied["model.embed_tokens.weight"]


def test_other_values_than_stored_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = open_here(tiny_encoder(tmp_path / "base"))
    monkeypatch.setattr("zogan.models.load.read_tensor", lambda info: read_tensor(info) + 1)
    with pytest.raises(IntegrityError, match=r"tensor '.*': transformers loads other values than are stored"):
        load_body(base)


def test_a_pooler_may_be_missing(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path / "base")
    tensors = load_file(folder / SINGLE)
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("pooler.")}
    save_file(kept, folder / SINGLE, {"format": "pt"})
    load_body(open_here(folder))
    kept.pop("encoder.layer.1.output.dense.bias")
    save_file(kept, folder / SINGLE, {"format": "pt"})
    with pytest.raises(
        ModelError, match=r"BertModel needs tensor 'encoder.layer.1.output.dense.bias', which the folder"
    ):
        load_body(open_here(folder))


def test_a_head_may_not(tmp_path: Path) -> None:
    base = open_here(tiny_encoder(tmp_path / "base"))
    with pytest.raises(ModelError, match=r"needs tensor 'cls.predictions.* more, .*The folder holds a BertModel"):
        load_causal(base)
    with pytest.raises(ModelError, match="BertModel has no classification head"):
        load_classifier(base)


def test_shapes_that_the_configuration_denies(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path / "base")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 40}))
    with pytest.raises(ModelError, match="transformers cannot load it: "):
        load_body(open_here(folder))


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    verbosity = logging.get_verbosity()
    folder = tiny_encoder(tmp_path / "base", labels=["a", "b"])
    capfd.readouterr()
    base = open_here(folder)
    load_body(base)  # leaves the head's tensors unused
    load_tokenizer(base)
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (verbosity, True)


def test_progress_bars_stay_off_where_they_were(tmp_path: Path) -> None:
    logging.disable_progress_bar()
    try:
        load_tokenizer(open_here(tiny_encoder(tmp_path / "base")))
        assert not logging.is_progress_bar_enabled()
    finally:
        logging.enable_progress_bar()


def test_the_tokenizer_neither_pads_nor_cuts(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path / "base")
    tree = json.loads((folder / "tokenizer.json").read_text())
    tree["truncation"] = {"max_length": 8, "stride": 0, "strategy": "LongestFirst", "direction": "Right"}
    tree["padding"] = {
        "strategy": {"Fixed": 8},
        "direction": "Right",
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    tree["padding"]["pad_to_multiple_of"] = None
    (folder / "tokenizer.json").write_text(json.dumps(tree))
    tokenizer = load_tokenizer(open_here(folder))
    assert len(tokenizer.backend_tokenizer.encode("a").ids) == len(tokenizer("a")["input_ids"]) == 3
    assert len(tokenizer.backend_tokenizer.encode("a b c d e f g h i j").ids) > 12


def test_a_padding_token_is_found(tmp_path: Path) -> None:
    folder = tiny_decoder(tmp_path / "base")

    def without(**keys: Any) -> None:
        config = json.loads((folder / "tokenizer_config.json").read_text())
        (folder / "tokenizer_config.json").write_text(json.dumps({**config, **keys}))

    without(pad_token=None)
    assert load_tokenizer(open_here(folder)).pad_token == "<|end|>"
    without(eos_token=None)
    with pytest.raises(ModelError, match="no token to pad with"):
        load_tokenizer(open_here(folder))


def test_a_damaged_tokenizer(tmp_path: Path) -> None:
    folder = tiny_decoder(tmp_path / "base")
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="its tokenizer cannot be read: "):
        load_tokenizer(open_here(folder))


@each_dtype
def test_a_written_folder_is_the_same_base(tmp_path: Path, dtype: torch.dtype) -> None:
    base = open_here(tiny_decoder(tmp_path / "base", dtype=dtype))
    save_folder(load_causal(base), load_tokenizer(base), tmp_path / "a")
    save_folder(load_causal(base), load_tokenizer(base), tmp_path / "b", max_shard_size="20KB")
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b") == base.fingerprint
    assert len(weight_files(tmp_path / "b")) > 1
    for folder in (tmp_path / "a", tmp_path / "b"):
        said = "".join(file.read_text() for file in folder.glob("*config.json"))
        assert str(tmp_path) not in said
        again = AutoTokenizer.from_pretrained(folder)
        assert again.chat_template == load_tokenizer(base).chat_template
        assert again("grüße 1")["input_ids"] == load_tokenizer(base)("grüße 1")["input_ids"]
