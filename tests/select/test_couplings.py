"""What is coupled is found by how layers stand and fit, in architectures that name and place them differently."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    GPT2Config,
    GPT2Model,
    GPTNeoXConfig,
    GPTNeoXModel,
    LlamaConfig,
    LlamaForCausalLM,
    OPTConfig,
    OPTModel,
    T5Config,
    T5Model,
)

from zogan.models.load import quiet
from zogan.select.couplings import couplings

Found = list[tuple[int, dict[str, tuple[int, bool]]]]


def llama(**keys: Any) -> nn.Module:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    with quiet():
        model: nn.Module = LlamaForCausalLM(LlamaConfig(vocab_size=50, **(sizes | keys)))
    return model


def found(model: nn.Module, under: str = "") -> Found:
    """Units of each coupling, with the width and the side of its members, below a path."""
    return [
        (
            coupling.units,
            {
                member.name.removeprefix(under).removesuffix(".weight"): (member.width, member.inputs)
                for member in coupling.members
            },
        )
        for coupling in couplings(model)
        if coupling.name.startswith(under)
    ]


def test_llama_with_as_many_heads_of_keys_as_of_queries() -> None:
    model = llama(num_key_value_heads=4)
    assert len(couplings(model)) == 4
    attention = {"q_proj": (8, False), "k_proj": (8, False), "v_proj": (8, False), "o_proj": (8, True)}
    assert found(model, "model.layers.1.self_attn.") == [(4, attention)]
    channels = {"gate_proj": (1, False), "up_proj": (1, False), "down_proj": (1, True)}
    assert found(model, "model.layers.1.mlp.") == [(48, channels)]


def test_heads_that_share_keys_and_values_are_one_unit() -> None:
    shared = {"q_proj": (16, False), "k_proj": (8, False), "v_proj": (8, False), "o_proj": (16, True)}
    assert found(llama(num_key_value_heads=2), "model.layers.0.self_attn.") == [(2, shared)]
    # Heads together wider than the model: queries and output would fit a feed-forward too.
    wide = {"q_proj": (32, False), "k_proj": (16, False), "v_proj": (16, False), "o_proj": (32, True)}
    assert found(llama(num_key_value_heads=2, head_dim=16), "model.layers.0.self_attn.") == [(2, wide)]


def test_bert() -> None:
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
    model = BertModel(BertConfig(vocab_size=50, num_hidden_layers=1, **sizes))
    heads = {f"attention.self.{name}": (8, False) for name in ("query", "key", "value")}
    assert found(model, "encoder.layer.0.") == [
        (4, {**heads, "attention.output.dense": (8, True)}),
        (48, {"intermediate.dense": (1, False), "output.dense": (1, True)}),
    ]


def test_gpt2() -> None:
    with quiet():
        model = GPT2Model(GPT2Config(vocab_size=50, n_embd=32, n_layer=1, n_head=4))
    assert found(model, "h.0.") == [
        (4, {"attn.c_attn": (8, False), "attn.c_proj": (8, True)}),
        (128, {"mlp.c_fc": (1, False), "mlp.c_proj": (1, True)}),
    ]


def test_others() -> None:
    with quiet():
        t5 = T5Model(T5Config(vocab_size=50, d_model=32, d_kv=8, d_ff=48, num_layers=1, num_heads=4))
        opt = OPTModel(
            OPTConfig(
                vocab_size=50,
                hidden_size=32,
                ffn_dim=48,
                num_hidden_layers=1,
                num_attention_heads=4,
                word_embed_proj_dim=32,
            )
        )
        distil = DistilBertModel(DistilBertConfig(vocab_size=50, dim=32, hidden_dim=48, n_layers=1, n_heads=4))
    assert [units for units, _ in found(t5)] == [4, 48, 4, 4, 48]
    for model, out in ((opt, "out_proj"), (distil, "out_lin")):
        (heads, attention), (channels, _) = found(model)
        assert (heads, channels) == (4, 48)
        assert [name.rpartition(".")[2] for name, (_, inputs) in attention.items() if inputs] == [out]


def test_queries_keys_and_values_that_alternate_by_head_are_left_alone() -> None:
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
    with quiet():
        model = GPTNeoXModel(GPTNeoXConfig(vocab_size=50, num_hidden_layers=1, **sizes))
    assert [units for units, _ in found(model)] == [48]


class Beside(nn.Module):
    """Layers beside each other, with attributes."""

    def __init__(self, *sizes: tuple[int, int], **attributes: int) -> None:
        super().__init__()
        for place, (inputs, outputs) in enumerate(sizes):
            setattr(self, f"layer{place}", nn.Linear(inputs, outputs))
        for name, value in attributes.items():
            setattr(self, name, value)


@pytest.mark.parametrize(
    ("sizes", "attributes", "members"),
    [
        (((4, 6), (6, 4)), {}, [0, 1]),
        (((4, 6), (6, 4), (4, 6)), {}, [0, 2, 1]),  # gate, down, up
        (((4, 6), (4, 6), (4, 6), (6, 4)), {}, None),  # three give out what one takes in
        (((4, 4), (4, 4)), {}, None),  # either could be the first
        (((4, 6), (6, 4), (6, 2)), {}, None),  # two take it in
        (((4, 6), (6, 5)), {}, None),  # not back to its own width
        (((4, 6), (6, 4)), {"num_heads": 2}, None),  # of some attention
        (((4, 4), (4, 4), (4, 4), (4, 4)), {}, None),  # no word of heads
        (((4, 4), (4, 4), (4, 4), (4, 4)), {"num_heads": 2}, [0, 1, 2, 3]),
        (((4, 2), (4, 2), (4, 4), (4, 4)), {"head_dim": 2}, [2, 0, 1, 3]),  # keys and values before queries
        (((4, 4), (4, 2), (4, 4), (4, 4)), {"head_dim": 2}, None),  # keys and values of different sizes
        (((4, 4), (4, 4), (4, 4), (4, 4)), {"head_dim": 3}, None),  # heads that do not fit
        (((4, 12), (4, 4)), {"head_dim": 2, "split_size": 4}, [0, 1]),
        (((4, 12), (4, 4)), {"head_dim": 2}, None),  # how the three lie in it is not said
    ],
)
def test_what_fits(sizes: tuple[tuple[int, int], ...], attributes: dict[str, int], members: list[int] | None) -> None:
    coupled = couplings(Beside(*sizes, **attributes))
    names = [[member.name for member in coupling.members] for coupling in coupled]
    assert names == ([[f"layer{place}.weight" for place in members]] if members else [])


def test_what_stands_in_a_list_is_alike_and_not_coupled() -> None:
    assert couplings(nn.ModuleList([nn.Linear(4, 6), nn.Linear(6, 4)])) == []
    assert len(couplings(nn.ModuleList([Beside((4, 6), (6, 4)), Beside((4, 6), (6, 4))]))) == 2


def test_what_is_far_apart_is_not_coupled() -> None:
    near = nn.Sequential(nn.Sequential(nn.Linear(4, 6)), nn.Sequential(nn.Linear(6, 4)))
    assert len(couplings(near)) == 1
    assert couplings(nn.Sequential(nn.Sequential(nn.Sequential(nn.Linear(4, 6))), nn.Linear(6, 4))) == []


def test_no_layer_is_in_two_couplings() -> None:
    names = [member.name for coupling in couplings(llama()) for member in coupling.members]
    assert len(names) == len(set(names)) == 2 * 7


@pytest.mark.parametrize("queries_per_key", [1, 2])
def test_a_head_is_what_the_others_do_not_feel(queries_per_key: int) -> None:
    model = llama(num_key_value_heads=4 // queries_per_key).eval()
    attention = model.get_submodule("model.layers.0.self_attn")
    (heads,) = [one for one in couplings(model) if one.name == "model.layers.0.self_attn.o_proj.weight"]
    sizes = {member.name.split(".")[-2]: member.width for member in heads.members}
    ids = torch.arange(12).view(1, 12)
    read: list[torch.Tensor] = []
    attention.get_submodule("o_proj").register_forward_pre_hook(lambda _, args: read.append(args[0].clone()))
    with torch.no_grad():
        model(ids)
        for name in ("q_proj", "k_proj", "v_proj"):
            attention.get_parameter(f"{name}.weight")[sizes[name] : 2 * sizes[name]] *= 3  # the second unit
        model(ids)
    moved = (read[0] != read[1]).any(0).any(0)  # (inputs of o_proj,)
    assert moved.nonzero().squeeze(1).tolist() == list(range(sizes["o_proj"], 2 * sizes["o_proj"]))
