"""Compiled layers: the same gradients as eager ones, and nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from compiler import needs_compiler
from zogan.errors import ConfigError
from zogan.models.cut import stacks
from zogan.sparse.compiled import compiled
from zogan.sparse.layer import Sparse, is_matrix, make_sparse


@pytest.fixture
def model() -> Iterator[LlamaForCausalLM]:
    """Three layers, of which the upper two train a few weights, as many more in each matrix as in the one before."""
    torch._dynamo.reset()
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        use_cache=False,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
        model.requires_grad_(False).train()
        matrices = [module for layer in upper(model) for module in layer.modules() if is_matrix(module)]
        for place, module in enumerate(matrices):
            numbers = torch.randperm(module.get_parameter("weight").numel())
            make_sparse(module, numbers[: 10 + 3 * place].sort().values)
    yield model
    torch._dynamo.reset()


def upper(model: nn.Module) -> list[nn.Module]:
    return list(next(iter(stacks(model).values())))[1:]


def gradients(model: LlamaForCausalLM, rows: int, time: int) -> list[Tensor]:
    ids = torch.randint(0, 50, (rows, time), generator=torch.Generator().manual_seed(rows))
    model.zero_grad()
    model(input_ids=ids, labels=ids).loss.backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


@needs_compiler
def test_gradients_are_those_of_eager_layers_for_any_length_and_after_a_step(model: LlamaForCausalLM) -> None:
    shapes = [(3, 9), (2, 5)]
    eager = [gradients(model, *shape) for shape in shapes]
    with compiled(upper(model)):
        found = [gradients(model, *shape) for shape in shapes]
        graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
        with torch.no_grad():
            for module in model.modules():
                if isinstance(module, Sparse):
                    module.values.add_(0.1)
        moved = gradients(model, *shapes[0])
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == graphs
    assert graphs == 2  # the lowest layer, and all above it
    for one, other in zip(eager, found, strict=True):
        for a, b in zip(one, other, strict=True):
            torch.testing.assert_close(a, b)
    for a, b in zip(moved, gradients(model, *shapes[0]), strict=True):
        torch.testing.assert_close(a, b)


@needs_compiler
def test_validation_inside_and_all_that_comes_after_is_eager(model: LlamaForCausalLM) -> None:
    ids = torch.arange(10).reshape(2, 5)
    before, keys = gradients(model, 3, 9), set(model.state_dict())
    with torch.no_grad():
        wanted = model(input_ids=ids).logits
    with compiled(upper(model)):
        gradients(model, 3, 9)
        with torch.no_grad():
            assert torch.equal(model(input_ids=ids).logits, wanted)
        assert set(model.state_dict()) == keys
    assert not any("forward" in vars(layer) for layer in upper(model))
    assert not any(name.startswith("_zogan") for module in model.modules() for name in vars(module))
    assert all(torch.equal(a, b) for a, b in zip(before, gradients(model, 3, 9), strict=True))


def test_a_machine_that_cannot_compile_is_told(model: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> object:
        def run(*_: object, **__: object) -> object:
            raise torch._dynamo.exc.TorchDynamoException("no compiler\nhere")

        return run

    monkeypatch.setattr(torch, "compile", refuse)
    with compiled(upper(model)), pytest.raises(ConfigError, match="cannot be compiled here: no compiler") as caught:
        gradients(model, 3, 9)
    assert caught.value.where == "train.compile"
