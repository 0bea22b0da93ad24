"""A base that holds packed rows apart is let through; another is refused, and says by how much it fails."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    MistralConfig,
    MistralForCausalLM,
)

from tiny import tiny_decoder
from zogan.config import TrainConfig
from zogan.errors import ConfigError
from zogan.models import open_base
from zogan.tasks.generation import Generation
from zogan.tasks.task import IGNORED, Example
from zogan.train.packing import check_packing

SETTINGS = TrainConfig(packing=True, tokens_per_batch=60)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Generation:
    folder = tmp_path_factory.mktemp("packing")
    return Generation(open_base(str(tiny_decoder(folder / "base")), cache=folder / "cache"), max_length=64)


def examples(*lengths: int) -> list[Example]:
    draw, found = torch.Generator().manual_seed(0), []
    for row, length in enumerate(lengths):
        ids = tuple(torch.randint(1, 60, (length,), generator=draw).tolist())
        found.append(Example(ids, (IGNORED,) * (length // 2) + ids[length // 2 :], 0, row))
    return found


def bases() -> dict[str, nn.Module]:
    shape: dict[str, Any] = {"vocab_size": 60, "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return {
            "windows": MistralForCausalLM(
                MistralConfig(**shape, intermediate_size=32, num_key_value_heads=2, sliding_window=4)
            ),
            # Its table of positions is shorter than what is packed.
            "learnt positions": GPT2LMHeadModel(
                GPT2Config(vocab_size=60, n_embd=16, n_layer=2, n_head=2, n_positions=24)
            ),
            "distances": BloomForCausalLM(BloomConfig(vocab_size=60, hidden_size=16, n_layer=2, n_head=2)),
        }


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["windows", "learnt positions"])
def test_rows_that_are_held_apart_are_let_through(task: Generation, name: str, dtype: torch.dtype) -> None:
    model = bases()[name].to(dtype).train()
    state = torch.get_rng_state()
    check_packing(task, model, examples(7, 12, 3, 9, 20, 1, 5), SETTINGS)
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)


def test_rows_that_see_each_other_are_refused(task: Generation) -> None:
    model = bases()["distances"]
    for parameter in model.parameters():
        parameter.data *= 5  # so that what a row sees matters
    with pytest.raises(ConfigError, match=r"train\.packing: this base \(LlamaForCausalLM\) cannot pack: .* nats\. Set"):
        check_packing(task, model, examples(7, 12, 3, 9, 20, 1, 5), SETTINGS)


def test_a_model_without_positions_is_refused(task: Generation) -> None:
    model = bases()["windows"]
    plain = model.forward

    def forward(input_ids: Any, attention_mask: Any = None, use_cache: bool = False) -> Any:
        return plain(input_ids=input_ids, attention_mask=attention_mask, use_cache=use_cache)

    model.forward = forward
    with pytest.raises(ConfigError, match=r"cannot pack: .*'position_ids'\. Set train\.packing: false"):
        check_packing(task, model, examples(7, 12), SETTINGS)


def test_where_no_two_rows_meet_nothing_is_tried(task: Generation) -> None:
    check_packing(task, nn.Identity(), examples(40, 50, 60), SETTINGS)
