"""Mixout in a pass is the paper's mixture, whose gradient reaches the values; afterwards they are as they were."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from zogan.sparse.attach import attach, old_values
from zogan.sparse.selection import Selection
from zogan.train.regularize.mixout import mixout

CHANCE = 0.3
CHOSEN = torch.tensor([0, 3, 7, 8, 14, 19])


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def layer() -> nn.Linear:
    found = nn.Linear(5, 4)
    with torch.no_grad():
        found.weight.copy_(drawn(4, 5))
        found.bias.zero_()
    return found


def paper(values: Tensor, old: Tensor) -> Tensor:
    """Eq. 5 of arXiv:1909.11299, from the same draw."""
    kept = torch.empty_like(values).bernoulli_(1 - CHANCE)
    return (kept * values + (1 - kept) * old - CHANCE * old) / (1 - CHANCE)


def test_of_a_whole_weight() -> None:
    model, x, old = layer(), drawn(6, 5), drawn(5, 4).T.contiguous()
    torch.manual_seed(0)
    with mixout({"weight": model.get_parameter("weight")}, {"weight": old}, CHANCE):
        found = model(x)
        found.square().sum().backward()
    weight = layer().weight
    torch.manual_seed(0)
    known = x @ paper(weight, old).T
    torch.testing.assert_close(found, known)
    torch.testing.assert_close(model.weight.grad, torch.autograd.grad(known.square().sum(), weight)[0])
    assert torch.equal(model.weight, weight)


def test_of_chosen_weights_it_is_that_of_a_dense_layer_there() -> None:
    model, x = nn.Sequential(layer()), drawn(6, 5)
    attach(model, Selection({"0.weight": CHOSEN}, {"0.weight": (4, 5)}))
    values, old = model.get_parameter("0.values"), old_values(model)
    assert old.keys() == {"0.values"}
    with torch.no_grad():
        values.add_(drawn(6))
    torch.manual_seed(0)
    with mixout({"0.values": values}, old, CHANCE):
        found = model(x)
        found.square().sum().backward()

    base = layer().weight.detach().reshape(-1)
    new = (base[CHOSEN] + drawn(6)).requires_grad_()
    torch.manual_seed(0)
    weight = base.scatter(0, CHOSEN, paper(new, base[CHOSEN])).view(4, 5)
    known = x @ weight.T
    torch.testing.assert_close(found, known)
    torch.testing.assert_close(values.grad, torch.autograd.grad(known.square().sum(), new)[0])
    assert torch.equal(values, new)


def test_some_are_old_and_the_mean_stays() -> None:
    model, old = nn.Linear(200, 200), torch.zeros(200, 200)
    nn.init.ones_(model.weight)
    torch.manual_seed(0)
    with mixout({"weight": model.get_parameter("weight")}, {"weight": old}, CHANCE):
        mixed = model.weight.detach().clone()
    assert float((mixed == 0).float().mean()) == pytest.approx(CHANCE, abs=0.01)
    assert float(mixed.mean()) == pytest.approx(1.0, abs=0.02)
    assert {round(value, 4) for value in mixed.view(-1).tolist()} == {0.0, round(1 / (1 - CHANCE), 4)}


def test_gradients_add_up_over_passes_and_no_hook_stays() -> None:
    model, old, x = layer(), torch.zeros(4, 5), torch.ones(1, 5)
    torch.manual_seed(0)
    for _ in range(2):
        with mixout({"weight": model.get_parameter("weight")}, {"weight": old}, CHANCE):
            model(x).sum().backward()
    model(x).sum().backward()
    torch.manual_seed(0)
    drops = [torch.empty(4, 5).bernoulli_(1 - CHANCE) / (1 - CHANCE) for _ in range(2)]
    torch.testing.assert_close(model.weight.grad, drops[0] + drops[1] + 1)


def test_the_values_are_back_after_an_error() -> None:
    model, known = layer(), layer().weight.detach()
    with (
        pytest.raises(RuntimeError, match="stop"),
        mixout({"weight": model.get_parameter("weight")}, {"weight": -known}, CHANCE),
    ):
        raise RuntimeError("stop")
    assert torch.equal(model.weight, known)
