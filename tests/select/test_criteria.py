"""Each criterion's scores are those of its definition, and other packages may bring theirs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from tiny_net import Net, batches, gradients, loss
from zogan.errors import ConfigError
from zogan.select import criteria, select
from zogan.select.criteria import CRITERIA, Criterion, find

NAMES = ("up.weight", "down.weight")

# Of weights w and the gradients of all batches g (batches, rows, columns), as docs/methods.md has them.
DEFINITIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "gradient": lambda w, g: g.sum(0).abs(),
    "relative": lambda w, g: (g / g.norm(dim=1, keepdim=True).clamp_min(1e-30)).sum(0).abs(),
    "fisher": lambda w, g: (g * g).sum(0),
    "contribution": lambda w, g: (w * g.sum(0)).abs(),
    "second_order": lambda w, g: (w * g - 0.5 * (w * g) ** 2).sum(0).abs(),
    "movement": lambda w, g: -(w * g).sum(0),
    "magnitude": lambda w, g: w.abs(),
}

# y = W x, the loss Σ y t: dL/dW = t xᵀ.
WEIGHT = torch.tensor([[1.0, -2.0], [0.5, 4.0]])
ROWS = [(torch.tensor([1.0, 3.0]), torch.tensor([2.0, -1.0])), (torch.tensor([-2.0, 1.0]), torch.tensor([1.0, 1.0]))]
# By hand: t xᵀ is [[2, 6], [-1, -3]], then [[-2, 1], [-2, 1]]; their sum [[0, 7], [-3, -2]].
BY_HAND = {
    "gradient": [[0.0, 7.0], [3.0, 2.0]],
    # The columns' norms are √5 and √45, then √8 and √2.
    "relative": [
        [abs(2 / 5**0.5 - 2 / 8**0.5), 6 / 45**0.5 + 1 / 2**0.5],
        [1 / 5**0.5 + 2 / 8**0.5, abs(1 / 2**0.5 - 3 / 45**0.5)],
    ],
    "fisher": [[8.0, 37.0], [5.0, 10.0]],
    "contribution": [[0.0, 14.0], [1.5, 8.0]],
    # By hand: w g is [[2, -12], [-0.5, -12]], then [[-2, -2], [-1, 4]].
    "second_order": [[4.0, 88.0], [2.125, 88.0]],
    "movement": [[0.0, 14.0], [1.5, 8.0]],
    "magnitude": [[1.0, 2.0], [0.5, 4.0]],
}


def scores(criterion: Criterion, weight: Tensor, grads: list[Tensor]) -> Tensor:
    if criterion.fold is None:
        return criterion.score(weight)
    total = torch.zeros_like(weight)
    for grad in grads:
        total += criterion.fold(weight, grad)
    return criterion.score(total)


def test_every_criterion_has_its_definition_here() -> None:
    assert set(DEFINITIONS) == set(BY_HAND) == set(CRITERIA) - {"random"}


@pytest.mark.parametrize("name", sorted(BY_HAND))
def test_scores_by_hand(name: str) -> None:
    layer = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(WEIGHT)
    grads = [torch.autograd.grad((layer(x) * t).sum(), layer.weight)[0] for x, t in ROWS]
    assert scores(find(name), layer.weight.detach(), grads).tolist() == [pytest.approx(row) for row in BY_HAND[name]]
    kept = select(layer, ROWS, criterion=name, density=0.25, loss=lambda model, row: (model(row[0]) * row[1]).sum())
    assert kept.positions["weight"].tolist() == [int(torch.tensor(BY_HAND[name]).argmax())]


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(sorted(DEFINITIONS)), count=st.integers(1, 4), seed=st.integers(0, 1000))
def test_scores_by_definition(name: str, count: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight, grads = torch.randn(3, 5, generator=generator), torch.randn(count, 3, 5, generator=generator)
    before = weight.clone(), grads.clone()
    torch.testing.assert_close(scores(find(name), weight, list(grads)), DEFINITIONS[name](weight, grads))
    assert torch.equal(weight, before[0])
    assert torch.equal(grads, before[1])


@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_what_is_chosen_is_what_the_definition_says(name: str) -> None:
    found = select(Net(), batches(), criterion=name, density=0.1, loss=loss, whole=["head.weight", "head.bias"])
    model, grads = Net(), gradients(Net(), NAMES)
    dense = {
        part: DEFINITIONS[name](model.get_parameter(part).detach(), torch.stack([one[part] for one in grads]))
        for part in NAMES
    }
    assert found.count == int(0.1 * 2 * 8 * 16)
    kept = torch.cat([dense[part].reshape(-1)[found.positions[part]] for part in NAMES])
    best = torch.cat([total.reshape(-1) for total in dense.values()]).topk(found.count).values
    torch.testing.assert_close(kept.sort().values, best.sort().values)


def test_input_features_of_a_conv1d_are_its_rows() -> None:
    lying, standing = Conv1D(4, 6), nn.Linear(6, 4, bias=False)
    with torch.no_grad():
        standing.weight.copy_(lying.weight.T)
        lying.bias.zero_()
    x = torch.randn(3, 6, generator=torch.Generator().manual_seed(0)) * torch.tensor([100.0, 1, 1, 1, 1, 1])
    found = [
        select(layer, [x], criterion="relative", density=0.3, loss=lambda model, x: model(x).square().sum())
        for layer in (lying, standing)
    ]
    turned = torch.arange(24).reshape(6, 4).T.reshape(-1)[found[1].positions["weight"]]
    assert found[0].positions["weight"].tolist() == turned.sort().values.tolist()


def test_random_is_the_seeds_and_no_weights() -> None:
    first, again, other = (
        select(Net(), batches(), criterion="random", density=0.2, loss=loss, seed=s) for s in (1, 1, 2)
    )
    assert all(torch.equal(first.positions[name], again.positions[name]) for name in first.positions)
    assert any(not torch.equal(first.positions[name], other.positions[name]) for name in first.positions)
    scaled = Net()
    with torch.no_grad():
        scaled.up.weight.mul_(100)
    moved = select(scaled, batches(), criterion="random", density=0.2, loss=loss, seed=1)
    assert all(torch.equal(first.positions[name], moved.positions[name]) for name in first.positions)


def test_an_unknown_name_says_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"^select\.criterion: no criterion is called 'fischer'\. Did you mean 'fish"):
        find("fischer")
    with pytest.raises(ConfigError, match=r"'xyz'\. Known: contribution, fisher, gradient, magnitude, movement, rando"):
        find("xyz")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package with criteria, found as any other is."""
    about = tmp_path / "smallest-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: smallest\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[zogan.criteria]\n"
        "smallest = zogan_test_smallest:SMALLEST\n"
        "number = zogan_test_smallest:NUMBER\n"
        "absent = zogan_test_smallest:ABSENT\n"
        "gone = zogan_test_gone:GONE\n"
        "gradient = zogan_test_smallest:SMALLEST\n"
    )
    (tmp_path / "zogan_test_smallest.py").write_text(
        "from zogan.select.criteria import Criterion\n"
        "SMALLEST = Criterion(None, lambda weight: -weight.abs())\n"
        "NUMBER = 3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("package")
def test_an_installed_package_can_bring_its_own() -> None:
    found = select(Net(), batches(), criterion="smallest", density=0.1, loss=loss, include="up")
    assert found.meta["criterion"] == "smallest"
    weight = Net().up.weight.detach().abs().reshape(-1)
    assert found.positions["up.weight"].tolist() == sorted(weight.argsort()[: found.count].tolist())


@pytest.mark.usefixtures("package")
def test_a_package_is_asked_for_only_what_is_not_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find("gradient") is CRITERIA["gradient"]
    with pytest.raises(ConfigError, match=r"'smalest'\. Did you mean 'smallest'\?"):
        find("smalest")
    monkeypatch.setattr(criteria, "entry_points", lambda group: [])
    with pytest.raises(ConfigError, match="no criterion is called 'smallest'"):
        find("smallest")


@pytest.mark.usefixtures("package")
def test_what_is_no_criterion_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"select\.criterion: entry point 'number' gives no Criterion"):
        find("number")
    with pytest.raises(ConfigError, match=r"entry point 'absent' cannot be loaded: .*no attribute 'ABSENT'"):
        find("absent")
    with pytest.raises(ConfigError, match=r"entry point 'gone' cannot be loaded: No module named 'zogan_test_gone'"):
        find("gone")
