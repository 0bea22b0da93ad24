"""Which weights go and which come in: the least moved, the best of the others, as many of each where they belong."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from tiny_net import Net, batches, gradients, loss
from zogan.errors import ZoganError
from zogan.select.criteria import CRITERIA
from zogan.select.exchange import exchange
from zogan.select.saliency import choose
from zogan.sparse.attach import attach, reserve, sparse_layers
from zogan.sparse.selection import Selection

NAMES = ("down.weight", "up.weight")
SHAPES = {"down.weight": (8, 16), "up.weight": (16, 8)}


def attached(seed: int, share: float, allocation: str) -> nn.Module:
    """A network of which some weights train, chosen as the allocation says, all moved a little."""
    model, generator = Net(), torch.Generator().manual_seed(seed)
    chosen = choose(
        model,
        batches(1),
        loss,
        CRITERIA["random"],
        weights={name: model.get_parameter(name) for name in NAMES},
        density=share,
        allocation=allocation,
        seed=seed,
        random=True,
    )
    attach(model, chosen)
    reserve(model, NAMES)
    with torch.no_grad():
        for layer in sparse_layers(model).values():
            layer.values.add_(0.01 * torch.randn(layer.values.shape, generator=generator))
    return model


def run(model: nn.Module, count: int, *, criterion: str = "gradient", allocation: str = "global", **keys: Any) -> Any:
    layers = sparse_layers(model)
    return exchange(
        model,
        batches(1),
        loss,
        CRITERIA[criterion],
        chosen={name: layer.chosen for name, layer in layers.items()},
        moved={name: (layer.values - layer.old).detach().abs() for name, layer in layers.items()},
        count=count,
        allocation=allocation,
        **keys,
    )


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 100),
    share=st.sampled_from([0.02, 0.1, 0.4, 0.9, 1.0]),
    count=st.integers(0, 60),
    allocation=st.sampled_from(["global", "tensor", "row"]),
    criterion=st.sampled_from(["gradient", "fisher", "random"]),
)
def test_as_many_come_as_go_and_none_of_those_that_go(
    seed: int, share: float, count: int, allocation: str, criterion: str
) -> None:
    model = attached(seed, share, allocation)
    layers = sparse_layers(model)
    before = {name: set(layer.chosen.tolist()) for name, layer in layers.items()}
    found, number = run(model, count, criterion=criterion, allocation=allocation, seed=seed)
    after = {name: set(flat.tolist()) for name, flat in found.items()}
    assert all((flat.diff() > 0).all() for flat in found.values())
    assert sum(map(len, after.values())) == sum(map(len, before.values()))
    assert sum(len(after[name] - before[name]) for name in NAMES) == number <= count
    for name, (rows, columns) in SHAPES.items():
        if allocation == "tensor":
            assert len(after[name]) == len(before[name])
        if allocation == "row":
            counts = [
                torch.bincount(torch.tensor(sorted(some), dtype=torch.int64) // columns, minlength=rows)
                for some in (before[name], after[name])
            ]
            assert torch.equal(*counts)
    moved = {
        (name, place): float((value - old).abs().detach())
        for name, layer in layers.items()
        for place, value, old in zip(layer.chosen.tolist(), layer.values, layer.old, strict=True)
    }
    gone = {(name, place) for name in NAMES for place in before[name] - after[name]}
    if allocation == "global":
        assert number == min(count, len(moved), 256 - len(moved))
        assert gone == set(sorted(moved, key=lambda at: moved[at])[:number])


@pytest.mark.parametrize("allocation", ["global", "tensor", "row"])
def test_the_best_of_the_others_come_in(allocation: str) -> None:
    model = attached(3, 0.2, allocation)
    layers, count = sparse_layers(model), 12
    chosen = {name: layer.chosen.clone() for name, layer in layers.items()}
    found, number = run(model, count, allocation=allocation)
    assert number == count
    flags = {name: p.requires_grad_(name in NAMES).requires_grad for name, p in model.named_parameters()}
    assert sum(flags.values()) == 2
    (whole,) = gradients(model, NAMES, 1)
    for name, (_, columns) in SHAPES.items():
        scores = whole[name].abs().reshape(-1).index_fill(0, chosen[name], -1.0)
        new = found[name][~torch.isin(found[name], chosen[name])]
        group = {"global": 0 * new, "tensor": 0 * new, "row": new // columns}[allocation]
        for one in group.unique().tolist():
            ours = new[group == one]
            among = (
                torch.arange(len(scores)) if allocation != "row" else torch.arange(one * columns, (one + 1) * columns)
            )
            best = among[scores[among].argsort(descending=True)[: len(ours)]]
            assert sorted(ours.tolist()) == sorted(best.tolist())
    if allocation == "global":
        every = torch.cat([whole[name].abs().reshape(-1)[new_of(found, chosen, name)] for name in NAMES])
        rest = torch.cat(
            [whole[name].abs().reshape(-1).index_fill(0, torch.cat([found[name], chosen[name]]), 0.0) for name in NAMES]
        )
        assert every.min() >= rest.max()


def new_of(found: dict[str, Tensor], chosen: dict[str, Tensor], name: str) -> Tensor:
    return found[name][~torch.isin(found[name], chosen[name])]


def test_the_model_is_left_as_it_was() -> None:
    model = attached(1, 0.2, "global")
    flags = [p.requires_grad for p in model.parameters()]
    grads, modes = [p.grad for p in model.parameters()], [module.training for module in model.modules()]
    model(batches(1)[0][0])  # the values are in the weights
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    generator = torch.get_rng_state()
    run(model, 10)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [p.requires_grad for p in model.parameters()] == flags
    assert [p.grad for p in model.parameters()] == grads
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), generator)


def test_other_seeds_draw_others() -> None:
    model = attached(1, 0.2, "global")
    one, same, other = (run(model, 10, criterion="random", seed=seed)[0] for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in NAMES)
    assert any(not torch.equal(one[name], other[name]) for name in NAMES)


def test_a_sparse_conv1d_lies_as_a_plain_one_does() -> None:
    """`relative` looks along input features: those of a Conv1D are its rows, attached or not."""

    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.embedding, self.up, self.head = nn.Embedding(10, 8), Conv1D(16, 8), nn.Linear(16, 3)

        def forward(self, ids: Tensor) -> Tensor:
            hidden: Tensor = self.head(self.up(self.embedding(ids)).tanh().mean(1))
            return hidden

    plain, model = Turned(), Turned()
    one = Selection({"up.weight": torch.tensor([127])}, {"up.weight": (8, 16)})
    attach(model, one)
    found, _ = run(model, 1, criterion="relative")
    best = choose(
        plain,
        batches(1),
        loss,
        CRITERIA["relative"],
        weights={"up.weight": plain.up.weight},
        density=1.5 / 128,
        allocation="global",
        seed=0,
        random=False,
    )
    assert best.positions["up.weight"].tolist() != [127]
    assert torch.equal(found["up.weight"], best.positions["up.weight"])


def test_a_loss_that_is_not_finite_is_told() -> None:
    model = attached(1, 0.2, "global")
    with torch.no_grad():
        model.get_parameter("head.bias").fill_(float("nan"))
    with pytest.raises(ZoganError, match="the loss of batch 1 is nan"):
        run(model, 3)
