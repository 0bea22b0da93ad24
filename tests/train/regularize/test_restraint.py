"""A sparse layer under restraint goes where a dense one goes that is masked, pulled and averaged by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from zogan.config import RegularizeConfig
from zogan.sparse.attach import attach, old_values
from zogan.sparse.selection import Selection
from zogan.tasks.task import Monitor
from zogan.train.regularize import Restrained, Restraint

CHOSEN, STEPS = torch.tensor([0, 3, 7, 8, 14, 19]), 12


def layer() -> nn.Linear:
    torch.manual_seed(3)
    return nn.Linear(5, 4)


def batch(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return torch.randn(8, 5, generator=generator), torch.randn(8, 4, generator=generator)


def optimizer_of(held: nn.Parameter, bias: nn.Parameter) -> torch.optim.AdamW:
    return torch.optim.AdamW([{"params": [held], "lr": 0.05}, {"params": [bias], "lr": 0.01}], weight_decay=0.0)


def schedule(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LambdaLR:
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / STEPS)


def sparse(settings: RegularizeConfig) -> tuple[nn.Module, Restrained]:
    """Trained to the end; the bias trains too, and is not held."""
    model = nn.Sequential(layer())
    attach(model, Selection({"0.weight": CHOSEN}, {"0.weight": (4, 5)}, whole=("0.bias",)))
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimizer = optimizer_of(trained["0.values"], trained["0.bias"])
    restrained = Restrained(Restraint(settings, old_values(model)), trained, optimizer, STEPS)
    rates = schedule(optimizer)
    for step in range(1, STEPS + 1):
        x, y = batch(step)
        with restrained.mixed():
            (model(x) - y).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        restrained.pull()
        rates.step()
        restrained.passed(step)
    return model, restrained


def dense(settings: RegularizeConfig) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Weight and bias by the formulas alone, and the weight after each step."""
    model = layer()
    old, mask = model.weight.detach().clone(), torch.zeros(20).index_fill(0, CHOSEN, 1.0).view(4, 5)
    optimizer = optimizer_of(model.get_parameter("weight"), model.get_parameter("bias"))
    rates, seen = schedule(optimizer), []
    for step in range(1, STEPS + 1):
        x, y = batch(step)
        (model(x) - y).square().sum().backward()
        assert model.weight.grad is not None
        model.weight.grad.mul_(mask)
        optimizer.step()
        optimizer.zero_grad()
        rate = 0.05 * (1 - (step - 1) / STEPS)
        with torch.no_grad():
            model.weight.copy_(model.weight - rate * settings.decay * (model.weight - old))
            model.weight.copy_(old + nn.functional.softshrink(model.weight - old, rate * settings.threshold))
        rates.step()
        seen.append(model.weight.detach().clone())
    return model.weight.detach(), model.bias.detach(), seen


@pytest.mark.parametrize(
    "settings", [{}, {"decay": 2.0}, {"threshold": 0.4}, {"decay": 1.0, "threshold": 0.7, "average": 0.5}]
)
def test_it_is_as_a_dense_layer_held_by_hand(settings: dict[str, float]) -> None:
    config = RegularizeConfig.model_validate(settings)
    model, restrained = sparse(config)
    weight, bias, seen = dense(config)
    values = model.get_parameter("0.values").detach().clone()
    torch.testing.assert_close(values, weight.reshape(-1)[CHOSEN], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.get_parameter("0.bias").detach(), bias, rtol=1e-4, atol=1e-5)
    last = torch.stack(seen[STEPS // 2 :]).mean(0) if config.average else weight
    with restrained.validating():
        found = model.get_parameter("0.values").detach().clone()
    torch.testing.assert_close(found, last.reshape(-1)[CHOSEN], rtol=1e-4, atol=1e-5)
    assert torch.equal(model.get_parameter("0.values"), values)


def test_a_threshold_longer_than_steps_leaves_the_old_values() -> None:
    model, _ = sparse(RegularizeConfig(threshold=20.0))
    assert torch.equal(model.get_parameter("0.values").detach(), layer().weight.detach().reshape(-1)[CHOSEN])
    assert not torch.equal(model.get_parameter("0.bias"), layer().bias)


def test_afterwards_the_point_that_validates_best_is_kept() -> None:
    model, restrained = sparse(RegularizeConfig(interpolate=2))
    old = layer().weight.detach().reshape(-1)[CHOSEN]
    new, bias = model.get_parameter("0.values").detach().clone(), model.get_parameter("0.bias").detach().clone()
    left = [4.0, 1.0, 2.0, 3.0]
    points = restrained.finish(lambda: Monitor(0.0, (left.pop(0),)))
    assert [point.share for point in points if point.best] == [0.5]
    torch.testing.assert_close(model.get_parameter("0.values").detach(), (old + new) / 2)
    assert torch.equal(model.get_parameter("0.bias"), bias)


def test_nothing_is_done_where_nothing_is_asked() -> None:
    def refused() -> Monitor:
        raise AssertionError("nothing is to be validated")

    _, restrained = sparse(RegularizeConfig())
    assert restrained.finish(refused) == ()
    assert restrained.state() == {"count": 0, "values": {}}
