"""Folders that must not be used are refused, each with the way out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import T5Config, T5ForConditionalGeneration

from tiny import tiny_decoder, tiny_encoder, tiny_tokenizer
from zogan.errors import IntegrityError, ModelError
from zogan.models.folder import UNBOUNDED, brief, inspect
from zogan.weights import SINGLE


def change(file: Path, **keys: Any) -> None:
    tree = {**json.loads(file.read_text()), **keys}
    file.write_text(json.dumps({key: value for key, value in tree.items() if value is not None}))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"model_type": None}, "names no model_type"),
        ({"model_type": "no-such-family"}, "transformers cannot read it: .*no-such-family"),
        ({"hidden_size": "many"}, "transformers cannot read it"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, r"quantised \(bitsandbytes\).*Give the model that"),
        ({"quantization_config": {"quant_method": "gptq"}}, r"quantised \(gptq\)"),
        ({"quantization_config": "awq"}, r"quantised \(awq\)"),
        ({"transformers_weights": "other.safetensors"}, "keeps its weights in 'other.safetensors'.*save_pretrained"),
        ({"attn_implementation": "someone/kernel"}, "'someone/kernel' would be fetched from a hub"),
        ({"auto_map": {"AutoModel": "m.M"}}, r"trust_remote_code\). transformers itself knows 'bert': delete auto_map"),
        ({"auto_map": {"AutoModel": "m.M"}, "model_type": "mine"}, "does not know 'mine', so it cannot be used"),
    ],
)
def test_configurations_that_are_refused(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    folder = tiny_encoder(tmp_path)
    change(folder / "config.json", **keys)
    with pytest.raises(ModelError, match=message) as caught:
        inspect(folder)
    assert str(folder / "config.json") in str(caught.value)


def test_code_for_the_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path)
    change(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["t.T", None]})
    with pytest.raises(ModelError, match=r"tokenizer_config.json: auto_map asks to run code"):
        inspect(folder)


def test_a_configuration_that_is_damaged(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path)
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config.json: not readable as JSON"):
        inspect(folder)


def test_an_adapter_is_no_base(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"is a LoRA adapter, not a model\. Merge it into its base"):
        inspect(tmp_path)
    tiny_encoder(tmp_path)
    with pytest.raises(ModelError, match="has a LoRA adapter beside the model"):
        inspect(tmp_path)


def test_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config.json. A base is a folder that save_pretrained wrote"):
        inspect(tmp_path)
    (tmp_path / "model-q4.gguf").touch()
    with pytest.raises(ModelError, match=r"has no config.json. Give the file itself: .*model-q4.gguf"):
        inspect(tmp_path)


def test_pickled_weights_alone(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path)
    (folder / SINGLE).rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="only pickled weights"):
        inspect(folder)


def test_damaged_weights(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path)
    whole = (folder / SINGLE).read_bytes()
    (folder / SINGLE).write_bytes(whole[:-1])
    with pytest.raises(IntegrityError, match=SINGLE):
        inspect(folder)


def test_no_tokenizer(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"has no tokenizer. Copy tokenizer.json"):
        inspect(folder)


def test_an_encoder_decoder(tmp_path: Path) -> None:
    config = T5Config(vocab_size=320, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    tiny_tokenizer(decoder=False).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="t5 is an encoder-decoder, which is not supported"):
        inspect(tmp_path)


def test_dtypes_that_cannot_be_trained(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"most weights are float64, which cannot be trained here. Convert a copy"):
        inspect(tiny_encoder(tmp_path, dtype=torch.float64))
    tensors = {name: tensor.to(torch.int64) for name, tensor in load_file(tmp_path / SINGLE).items()}
    save_file(tensors, tmp_path / SINGLE)
    with pytest.raises(ModelError, match="holds no floating-point tensor"):
        inspect(tmp_path)


def test_a_bert_that_reads_left_to_right_is_a_decoder(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path)
    assert not inspect(folder).decoder
    change(folder / "config.json", is_decoder=True)
    assert inspect(folder).decoder


def test_a_decoder_s_body_alone_is_a_decoder(tmp_path: Path) -> None:
    assert inspect(tiny_decoder(tmp_path, head=False)).decoder


def test_what_nothing_bounds(tmp_path: Path) -> None:
    folder = tiny_decoder(tmp_path)
    change(folder / "config.json", max_position_embeddings=10**30)
    change(folder / "tokenizer_config.json", model_max_length=int(1e30))
    assert inspect(folder).max_length == UNBOUNDED


def test_an_architecture_that_is_not_named(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path)
    change(folder / "config.json", architectures=None)
    assert inspect(folder).architecture == "bert"


def test_errors_of_others_are_cut() -> None:
    assert brief(ValueError("one\n  two")) == "one two"
    assert brief(ValueError("x" * 400)) == "x" * 299 + "…"
    assert brief(ValueError()) == "ValueError"
