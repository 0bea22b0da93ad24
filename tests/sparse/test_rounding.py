"""A vector that trains whole is seen as the base will store it, trains in fp32, and leaves nothing behind."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from zogan.sparse.attach import attach, detach
from zogan.sparse.selection import Selection

NAMES = ("0.weight", "0.bias", "1.bias")


class Failing(nn.Module):
    """Cannot be run."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("it fails")


def network(dtype: torch.dtype) -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 3))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn_like(parameter).to(dtype))
    return net


def attached(dtype: torch.dtype) -> nn.Sequential:
    net = network(dtype)
    shapes = {name: tuple(p.shape) for name, p in net.named_parameters()}
    positions = {"1.weight": torch.tensor([1, 5])}
    attach(net, Selection(positions, shapes, whole=NAMES), stored=dict.fromkeys(shapes, dtype))
    return net


def moved(net: nn.Module, step: float = 1e-3) -> None:
    """A step that the stored dtype rounds."""
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.requires_grad:
                parameter.add_(step)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("grad", [True, False])
def test_what_is_run_is_what_detach_leaves(dtype: torch.dtype, grad: bool) -> None:
    net, x = attached(dtype), torch.randn(5, 4)
    moved(net)
    with torch.set_grad_enabled(grad):
        seen = net(x).detach()
    detach(net)
    assert torch.equal(net(x), seen)
    assert all(torch.equal(p, p.to(dtype).float()) for p in net.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_gradient_is_that_of_the_rounded_values_and_steps_add_up(dtype: torch.dtype) -> None:
    net, x = attached(dtype), torch.randn(5, 4)
    moved(net)
    names = [name for name, _ in net.named_parameters()]
    assert {name for name in names if "values" not in name} == {name for name, _ in network(dtype).named_parameters()}
    net(x).square().sum().backward()
    found = {name: p.grad for name, p in net.named_parameters()}
    net.zero_grad()
    kept = net.get_parameter("0.weight").detach().clone()
    assert not torch.equal(kept, kept.to(dtype).float()), "it is not rounded where it trains"
    detach(net)
    net.requires_grad_(True)
    net(x).square().sum().backward()
    for name in NAMES:
        assert torch.equal(net.get_parameter(name).grad, found[name])  # type: ignore[arg-type]


def test_a_copy_rounds_too_and_is_its_own() -> None:
    net, x = attached(torch.bfloat16), torch.randn(5, 4)
    other = copy.deepcopy(net)
    moved(other)
    seen = other(x).detach()
    assert not torch.equal(net(x), seen)
    detach(other)
    assert torch.equal(other(x), seen)
    assert not other[0]._forward_pre_hooks, "plain now"
    assert net[0]._forward_pre_hooks, "and the other is as it was"


def test_nothing_stays_where_a_forward_fails() -> None:
    net = Failing()
    attach(net, Selection({}, {"weight": (4,)}, whole=("weight",)), stored={"weight": torch.bfloat16})
    with pytest.raises(RuntimeError, match="it fails"):
        net(torch.ones(4))
    assert isinstance(net.weight, nn.Parameter)


def test_where_the_base_is_stored_as_it_trains_there_is_nothing_to_round() -> None:
    net, x = attached(torch.float32), torch.randn(5, 4)
    moved(net)
    assert not net[0]._forward_pre_hooks
    plain = copy.deepcopy(net)
    detach(plain)
    assert torch.equal(plain(x), net(x))
