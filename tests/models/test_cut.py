"""A model runs from a cut on as it runs whole: bit for bit, whatever its architecture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn
from transformers.utils import logging

from zogan.models.cut import Cut, CutError, stacks

WIDE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 99,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "cls_token_id": 1,
    "sep_token_id": 2,
}
GROUPED = {"num_key_value_heads": 2, "head_dim": 8}
SLIDING = {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"] * 2}
RELATIVE = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8, "conv_kernel_size": 3}
T5 = {"d_model": 32, "num_layers": 4, "num_heads": 4, "d_kv": 8, "d_ff": 48, "vocab_size": 99}

MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "BERT": ("BertModel", "BertConfig", WIDE),
    "RoBERTa": ("RobertaModel", "RobertaConfig", WIDE),
    "DeBERTa-v2": ("DebertaV2Model", "DebertaV2Config", WIDE | RELATIVE),
    "ModernBERT": ("ModernBertModel", "ModernBertConfig", WIDE | {"local_attention": 8}),
    "Llama": ("LlamaForCausalLM", "LlamaConfig", WIDE | {"num_key_value_heads": 2}),
    "Qwen3": ("Qwen3ForCausalLM", "Qwen3Config", WIDE | GROUPED),
    "Gemma3": ("Gemma3ForCausalLM", "Gemma3TextConfig", WIDE | GROUPED | SLIDING),
    "GPT-2": ("GPT2LMHeadModel", "GPT2Config", WIDE | {"n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 64}),
    "Phi": ("PhiForCausalLM", "PhiConfig", WIDE),
    "T5": ("T5EncoderModel", "T5Config", T5),
}

Forward = Callable[[], Tensor]


def build(name: str) -> nn.Module:
    kind, config, keys = MODELS[name]
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model: nn.Module = getattr(transformers, kind)(getattr(transformers, config)(**keys))
    finally:
        logging.set_verbosity(verbosity)
    return model.eval()


def forward(model: nn.Module, mask: Tensor) -> Forward:
    ids = torch.randint(3, 99, mask.shape, generator=torch.Generator().manual_seed(1))

    def run() -> Tensor:
        found = model(input_ids=ids, attention_mask=mask)
        made: Tensor = found.logits if "logits" in found else found.last_hidden_state
        return made[mask.bool()]  # (tokens, dim)

    return run


def mask() -> Tensor:
    found = torch.ones(3, 12, dtype=torch.int64)
    found[1, 7:] = 0
    return found


@pytest.mark.parametrize("index", [1, 2, 3])
@pytest.mark.parametrize("name", MODELS)
def test_from_a_cut_on_is_the_whole_bit_for_bit(name: str, index: int) -> None:
    model, here = build(name), mask()
    run = forward(model, here)
    (stack,) = stacks(model)
    cut = Cut(model, stack, index)
    cut.check(run)
    with torch.no_grad():
        hidden = cut.capture(run) * here[:, :, None]  # nothing of padding is kept
        whole = run()
        with cut.replay(hidden):
            assert torch.equal(run(), whole)
        assert torch.equal(run(), whole)  # and all is as before


@pytest.mark.parametrize("name", MODELS)
def test_gradients_above_are_the_same(name: str) -> None:
    model = build(name)
    run = forward(model, mask())
    (stack,) = stacks(model)
    cut = Cut(model, stack, 2)
    cut.check(run)
    model.requires_grad_(False)
    above = list(cut.layers[2:].parameters())
    for parameter in above:
        parameter.requires_grad_(True)
    whole = torch.autograd.grad(run().square().sum(), above, materialize_grads=True)
    with torch.no_grad():
        hidden = cut.capture(run)
    with cut.replay(hidden):
        again = torch.autograd.grad(run().square().sum(), above, materialize_grads=True)
    assert any(grad.any() for grad in whole)
    assert all(torch.equal(one, other) for one, other in zip(whole, again, strict=True))


def test_layers_below_do_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build("Llama")
    run = forward(model, mask())
    cut = Cut(model, "model.layers", 3)
    cut.check(run)
    with torch.no_grad():
        hidden, whole = cut.capture(run), run()
        for layer in cut.layers[:3]:
            for parameter in layer.parameters():
                parameter.fill_(torch.nan)
        with cut.replay(hidden):
            assert torch.equal(run(), whole)


def test_what_is_done_below_is_known() -> None:
    model = build("BERT")
    cut = Cut(model, "encoder.layer", 2)
    cut.check(forward(model, mask()))
    assert model.get_submodule("embeddings.word_embeddings") in cut.before
    assert model.get_submodule("encoder.layer.1.output.dense") in cut.before
    assert not cut.before & set(model.get_submodule("encoder.layer.2").modules())
    assert model.get_submodule("encoder") not in cut.before
    assert str(cut) == "encoder.layer.2"


class Around(nn.Module):
    """What enters the first layer reaches the end by a way of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.layers = nn.Embedding(9, 4), nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.embed(ids)
        first = self.layers[0](hidden)
        second = self.layers[1](first)
        found: Tensor = self.layers[2](second) + first
        return found


class Backward(Around):
    """The layers run from the last to the first."""

    def forward(self, ids: Tensor) -> Tensor:
        hidden: Tensor = self.embed(ids)
        for layer in reversed(self.layers):
            hidden = layer(hidden)
        return hidden


class Flat(Around):
    """Layers see tokens without rows."""

    def forward(self, ids: Tensor) -> Tensor:
        hidden: Tensor = self.embed(ids).flatten(0, 1)
        for layer in self.layers:
            hidden = layer(hidden)
        return hidden


class Told(Around):
    """Each layer is given the one before's result too."""

    class Layer(nn.Linear):
        def forward(self, hidden: Tensor, beside: Tensor | None = None) -> Tensor:
            return super().forward(hidden) + (0 if beside is None else beside)

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(self.Layer(4, 4) for _ in range(3))

    def forward(self, ids: Tensor) -> Tensor:
        hidden, beside = self.embed(ids), None
        for layer in self.layers:
            hidden, beside = layer(hidden, beside), hidden.cos()
        found: Tensor = hidden
        return found


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Around, "reaches past it by another way"),
        (Told, "is given more from below than hidden states"),
        (Flat, "is not given hidden states first"),
    ],
)
def test_what_cannot_be_cut_is_told(kind: type[Around], reason: str) -> None:
    torch.manual_seed(0)
    model, ids = kind(), torch.arange(6).view(2, 3)
    whole = model(ids)
    with pytest.raises(CutError, match=reason):
        Cut(model, "layers", 2).check(lambda: model(ids))
    assert torch.equal(model(ids), whole)


def test_a_layer_that_is_not_come_to_is_told() -> None:
    model = Around()
    with pytest.raises(CutError, match=r"does not come to layer layers\.1"):
        Cut(model, "layers", 1).check(lambda: model.embed(torch.arange(3)))


def test_layers_in_another_order_are_told() -> None:
    torch.manual_seed(0)
    model, ids = Backward(), torch.arange(6).view(2, 3)
    with pytest.raises(CutError):
        Cut(model, "layers", 1).check(lambda: model(ids))


def test_hidden_states_of_another_batch_are_refused() -> None:
    model = build("GPT-2")
    run = forward(model, mask())
    cut = Cut(model, "transformer.h", 1)
    other = r"hidden states \(2, 12, 32\) are not of this batch: \(3, 12, 32\)"
    with pytest.raises(ValueError, match=other), cut.replay(torch.zeros(2, 12, 32)):
        run()
    assert run().shape[1] == 99


@pytest.mark.parametrize(("stack", "index"), [("layers", 0), ("layers", 3), ("embed", 1)])
def test_a_cut_has_layers_on_both_sides(stack: str, index: int) -> None:
    with pytest.raises(ValueError, match="has no layer"):
        Cut(Around(), stack, index)


def test_stacks_are_found_by_structure() -> None:
    t5 = transformers.T5ForConditionalGeneration(transformers.T5Config(**T5, decoder_start_token_id=0))
    assert list(stacks(t5)) == ["decoder.block", "encoder.block"]  # the decoder has more
    assert stacks(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))) == {}
