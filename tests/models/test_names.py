"""Each parameter finds its tensor in the folder, under whatever class it was loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from tiny import tiny_decoder, tiny_encoder, tiny_tokenizer
from zogan.errors import ModelError
from zogan.models import Base, load_body, load_causal, load_classifier, open_base, tensor_names
from zogan.weights import SINGLE, headers, read_tensor


def assert_true(model: nn.Module, base: Base, names: dict[str, str]) -> None:
    infos, parameters = headers(base.folder), dict(model.named_parameters(remove_duplicate=False))
    for name, tensor in names.items():
        assert torch.equal(parameters[name], read_tensor(infos[tensor])), name


def test_a_whole_model(tmp_path: Path) -> None:
    base = open_base(str(tiny_encoder(tmp_path / "base", labels=["a", "b"])), cache=tmp_path)
    model = load_classifier(base)
    names = tensor_names(model, base)
    assert names == {name: name for name, _ in model.named_parameters()}
    assert set(names.values()) == set(headers(base.folder))
    assert_true(model, base, names)


def test_a_body_out_of_a_whole_model(tmp_path: Path) -> None:
    for make in (tiny_encoder, tiny_decoder):
        base = open_base(str(make(tmp_path / make.__name__, labels=["a", "b"])), cache=tmp_path)
        body = load_body(base)
        names = tensor_names(body, base)
        assert names == {name: f"{body.base_model_prefix}.{name}" for name, _ in body.named_parameters()}
        assert_true(body, base, names)


def test_a_whole_model_out_of_a_body(tmp_path: Path) -> None:
    base = open_base(str(tiny_decoder(tmp_path / "base", head=False)), cache=tmp_path)
    model = load_causal(base)  # tied, so the body has all it needs
    names = tensor_names(model, base)
    assert names["model.embed_tokens.weight"] == names["lm_head.weight"] == "embed_tokens.weight"
    assert names["model.layers.1.mlp.up_proj.weight"] == "layers.1.mlp.up_proj.weight"
    assert set(names.values()) == set(headers(base.folder))


@pytest.mark.parametrize("tied", [True, False])
def test_tied_weights_are_one(tmp_path: Path, tied: bool) -> None:
    base = open_base(str(tiny_decoder(tmp_path / "base", tied=tied)), cache=tmp_path)
    model = load_causal(base)
    names = tensor_names(model, base)
    assert (names["lm_head.weight"] == names["model.embed_tokens.weight"]) is tied
    assert names["model.embed_tokens.weight"] == "model.embed_tokens.weight"
    assert_true(model, base, names)


def test_a_tied_weight_stored_under_the_head_s_name(tmp_path: Path) -> None:
    folder = tiny_decoder(tmp_path / "base")
    tensors = load_file(folder / SINGLE)
    tensors["lm_head.weight"] = tensors.pop("model.embed_tokens.weight")
    save_file(tensors, folder / SINGLE, {"format": "pt"})
    base = open_base(str(folder), cache=tmp_path)
    names = tensor_names(load_causal(base), base)
    assert names["model.embed_tokens.weight"] == names["lm_head.weight"] == "lm_head.weight"


def test_a_tied_weight_stored_twice_is_refused(tmp_path: Path) -> None:
    folder = tiny_decoder(tmp_path / "base")
    tensors = load_file(folder / SINGLE)
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, folder / SINGLE, {"format": "pt"})
    base = open_base(str(folder), cache=tmp_path)
    message = r"stored twice \(lm_head.weight and model.embed_tokens.weight\).*Write the folder again"
    with pytest.raises(ModelError, match=message):
        load_causal(base)


def test_gpt2(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer(decoder=True)
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=48, n_embd=16, n_layer=1, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    base = open_base(str(tmp_path / "base"), cache=tmp_path)
    for model in (load_causal(base), load_body(base)):
        names = tensor_names(model, base)
        assert set(names) == {name for name, _ in model.named_parameters(remove_duplicate=False)}
        assert_true(model, base, names)


def test_inside_another_module(tmp_path: Path) -> None:
    base = open_base(str(tiny_encoder(tmp_path / "base")), cache=tmp_path)

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = load_body(base), nn.Linear(32, 2)

    whole = Whole()
    names = tensor_names(whole, base, prefix="body.")
    assert names == {f"body.{name}": name for name in headers(base.folder)}
    assert tensor_names(whole, base) == names  # by the longer name's end
    assert list(names) == [name for name, _ in whole.named_parameters() if name.startswith("body.")]


def test_after_training_too(tmp_path: Path) -> None:
    base = open_base(str(tiny_encoder(tmp_path / "base")), cache=tmp_path)
    body = load_body(base)
    before = tensor_names(body, base)
    with torch.no_grad():
        for parameter in body.parameters():
            parameter.add_(1)
    assert tensor_names(body, base) == before


def test_shapes_must_agree_and_names_lead_to_one(tmp_path: Path) -> None:
    tensors = {f"{part}.weight": torch.ones(2, 3) for part in ("a.x", "b.x", "a.y", "z")}
    folder = tiny_encoder(tmp_path / "base")
    save_file(tensors, folder / SINGLE)
    base = open_base(str(folder), cache=tmp_path)
    model = nn.ModuleDict({"x": nn.Linear(3, 2), "y": nn.Linear(3, 2), "z": nn.Linear(2, 3)})
    assert tensor_names(model, base) == {"y.weight": "a.y.weight"}
