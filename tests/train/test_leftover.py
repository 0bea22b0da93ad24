"""What is left over is the squared gradient of all weights but the chosen ones, as plain autograd has it."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn

from zogan.errors import ZoganError
from zogan.models.cut import Cut
from zogan.progress import Silent
from zogan.sparse.attach import attach, detach
from zogan.sparse.selection import Selection
from zogan.tasks.task import Batch, Monitor
from zogan.train.leftover import layers_above, left_over

BATCHES = [[0, 1, 2], [3, 4], [5, 6, 7]]
CHOSEN = torch.tensor([0, 7, 11, 30])


class Stack(nn.Module):
    """Three layers of one matrix each, and dropout, which must rest."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.drop(layer(x).tanh())
        return x


class Points:
    """Points to be moved to others."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(2)
        self.x, self.y = torch.randn(2, 8, 6, generator=generator)
        self.lengths = [1] * 8

    def batch(self, rows: list[int]) -> Batch:
        return {"x": self.x[rows], "labels": self.y[rows]}

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, int]:
        return (model(batch["x"]) - batch["labels"]).square().sum(), len(batch["x"])

    def monitor(self, model: nn.Module) -> Monitor:
        return Monitor(0.0, (0.0,))


def attached() -> Stack:
    model = Stack().train()
    attach(model, Selection({"layers.1.weight": CHOSEN}, {"layers.1.weight": (6, 6)}))
    return model


def measured(model: nn.Module, feed: Points, names: tuple[str, ...] = ("layers.0", "layers.1")) -> dict[str, float]:
    matrices = {name: [model.get_submodule(name)] for name in names}
    return left_over(model, feed, matrices, BATCHES, running=nullcontext, progress=Silent())


def test_it_is_the_gradient_outside_of_the_chosen_weights() -> None:
    feed, plain = Points(), Stack().eval()
    expected = {"layers.0": 0.0, "layers.1": 0.0}
    for rows in BATCHES:
        total, targets = feed.loss(plain, feed.batch(rows))
        weights = [plain.get_parameter(f"{name}.weight") for name in expected]
        first, second = torch.autograd.grad(total / targets, weights)
        expected["layers.0"] += float(first.square().sum())
        outside = second.reshape(-1).clone()
        outside[CHOSEN] = 0.0
        assert 0 < outside.square().sum() < second.square().sum()
        expected["layers.1"] += float(outside.square().sum())
    assert measured(attached(), feed) == pytest.approx(expected, rel=1e-5)


def test_it_is_of_the_values_as_they_are_now() -> None:
    model, feed = attached(), Points()
    before = measured(model, feed)
    with torch.no_grad():
        model.get_parameter("layers.1.values").add_(0.5)
    assert measured(model, feed)["layers.1"] != pytest.approx(before["layers.1"], rel=1e-3)


def test_the_model_is_left_as_it_was() -> None:
    model = attached()
    model.drop.eval()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    flags = {name: p.requires_grad for name, p in model.named_parameters()}
    modes = {name: module.training for name, module in model.named_modules()}
    measured(model, Points())
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert {name: p.requires_grad for name, p in model.named_parameters()} == flags
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert all(p.grad is None for p in model.parameters())
    detach(model)


def test_one_gradient_is_in_memory_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    model, held = attached(), []
    norm = torch.linalg.vector_norm

    def counted(x: Tensor) -> Tensor:
        held.append(sum(p.grad is not None for p in model.parameters()))
        found: Tensor = norm(x)
        return found

    monkeypatch.setattr(torch.linalg, "vector_norm", counted)
    measured(model, Points(), ("layers.0", "layers.1", "layers.2"))
    assert held == [0] * 3 * len(BATCHES)


@pytest.mark.parametrize("where", ["x", "y"])
def test_what_is_not_finite_is_told(where: str) -> None:
    feed = Points()
    getattr(feed, where)[0] = float("nan")
    with pytest.raises(ZoganError, match=r"adapters: the loss is nan\. Lower train\.rate"):
        measured(attached(), feed)


def test_a_gradient_that_is_not_finite_is_told_with_its_layer() -> None:
    class Steep(Points):
        def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, int]:
            total, targets = super().loss(model, batch)
            return (0.0 * total).sqrt(), targets

    with pytest.raises(ZoganError, match=r"layers\.1: a gradient is not finite"):
        measured(attached(), Steep())


def test_the_layers_are_those_above_the_cut() -> None:
    model = Stack()
    assert list(layers_above(model, None)) == ["layers.0", "layers.1", "layers.2"]
    assert list(layers_above(model, Cut(model, "layers", 2))) == ["layers.2"]
    alone = nn.Linear(2, 2)
    assert layers_above(alone, None) == {"Linear": alone}
