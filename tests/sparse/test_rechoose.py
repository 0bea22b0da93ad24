"""Other weights in place of those that train: what goes is as it was, bit for bit, and what stays goes on."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from zogan.sparse.attach import attach, detach, old_values, rechoose, reserve, sparse_layers
from zogan.sparse.layer import carried, choose_anew, make_sparse
from zogan.sparse.selection import Selection

ROWS, COLUMNS = 5, 6
NAMES = ("0.weight", "1.weight")

positions = st.sets(st.integers(0, ROWS * COLUMNS - 1), max_size=12)


def network(dtype: torch.dtype) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(COLUMNS, ROWS), Conv1D(COLUMNS, ROWS)).to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.view(-1)[:3] = torch.tensor([-0.0, 0.0, 1e-7], dtype=dtype)
    return model


def bits(tensor: Tensor) -> Tensor:
    return tensor.detach().reshape(-1).contiguous().view(torch.uint8)


def as_selection(chosen: list[set[int]]) -> Selection:
    flat = {name: torch.tensor(sorted(some), dtype=torch.int64) for name, some in zip(NAMES, chosen, strict=True)}
    return Selection(flat, dict.fromkeys(NAMES, (ROWS, COLUMNS)))


@settings(max_examples=60, deadline=None)
@given(
    turns=st.lists(st.tuples(positions, positions), min_size=2, max_size=4),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
    stored=st.sampled_from([None, torch.float32]),
)
def test_what_differs_in_the_end_is_what_is_chosen_then(
    turns: list[tuple[set[int], set[int]]], dtype: torch.dtype, stored: torch.dtype | None
) -> None:
    model, base = network(dtype), network(dtype).state_dict()
    attach(model, as_selection(list(turns[0])), stored=dict.fromkeys(NAMES, stored) if stored else None)
    reserve(model, NAMES)
    x = torch.randn(3, COLUMNS, generator=torch.Generator().manual_seed(1)).to(dtype)
    held: dict[str, dict[int, float]] = {name: {} for name in NAMES}
    for turn in turns:
        rechoose(model, as_selection(list(turn)).positions)
        for (name, layer), chosen in zip(sparse_layers(model).items(), turn, strict=True):
            assert layer.chosen.tolist() == sorted(chosen)
            old = base[name].reshape(-1)[layer.chosen]
            assert torch.equal(bits(layer.old), bits(old.to(layer.old.dtype)))
            before = [held[name].get(place, float(old[index])) for index, place in enumerate(layer.chosen.tolist())]
            assert layer.values.tolist() == before
            with torch.no_grad():
                layer.values.add_(torch.arange(1.0, len(chosen) + 1))
            held[name] = dict(zip(layer.chosen.tolist(), layer.values.tolist(), strict=True))
        model(x)
    changed = detach(model)
    for name, chosen in zip(NAMES, turns[-1], strict=True):
        now, was = model.get_parameter(name).detach().reshape(-1), base[name].reshape(-1)
        others = torch.tensor(sorted({*range(ROWS * COLUMNS)} - chosen), dtype=torch.int64)
        assert torch.equal(bits(now[others]), bits(was[others]))
        assert (name in changed) is bool(chosen)
        if chosen:
            assert changed[name].positions.tolist() == sorted(chosen)
            assert (now[changed[name].positions] != was[changed[name].positions]).all()
            assert torch.equal(changed[name].new.to(dtype), now[changed[name].positions])


def test_gradients_go_to_what_is_chosen_now() -> None:
    model = network(torch.float32)
    attach(model, as_selection([{0, 7}, set()]))
    reserve(model, NAMES)
    x = torch.randn(3, COLUMNS)
    trained = dict(model.named_parameters())
    for chosen in ([{0, 7}, set()], [{7, 8, 9}, {4}], [set(), {0, 4}]):
        rechoose(model, as_selection(chosen).positions)
        assert dict(model.named_parameters()) == trained  # the very parameters that an optimiser has
        model.zero_grad()
        model(x).square().sum().backward()
        found = {name: layer.values.grad for name, layer in sparse_layers(model).items()}
        plain = network(torch.float32)
        plain(x).square().sum().backward()
        for name, some in zip(NAMES, chosen, strict=True):
            whole, grad = plain.get_parameter(name).grad, found[name]
            assert whole is not None
            assert (grad is None) is (not some)
            if grad is not None:
                assert torch.allclose(grad, whole.reshape(-1)[sorted(some)], rtol=1e-5, atol=1e-6)


def test_layers_without_a_chosen_weight_are_plain_ones() -> None:
    model = network(torch.float32)
    x = torch.randn(3, COLUMNS)
    expected = model(x)
    attach(model, as_selection([{1}, set()]))
    reserve(model, NAMES)
    assert torch.equal(model(x), expected)
    assert {name: len(old) for name, old in old_values(model).items()} == {"0.values": 1, "1.values": 0}
    assert detach(model).keys() == {"0.weight"}
    assert [type(module) for module in model] == [nn.Linear, Conv1D]


def test_numbers_stay_with_their_positions() -> None:
    before, after = torch.tensor([1, 4, 6]), torch.tensor([0, 4, 6, 9])
    numbers, others = torch.tensor([10, 40, 60]), torch.tensor([-1, -2, -3, -4])
    assert carried(numbers, before, after, others).tolist() == [-1, 40, 60, -4]
    assert others.tolist() == [-1, -2, -3, -4]


def test_only_a_sparse_layer_is_chosen_anew_and_none_is_made_sparse_twice() -> None:
    with pytest.raises(TypeError, match="Linear is no sparse layer"):
        choose_anew(nn.Linear(2, 2), torch.tensor([0]))
    layer = nn.Linear(2, 2)
    make_sparse(layer, torch.tensor([0]))
    with pytest.raises(TypeError, match="SparseLinear is no dense layer that can train in part"):
        make_sparse(layer, torch.tensor([0]))
