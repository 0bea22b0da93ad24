"""`zogan.select`: criteria equal their dense definition, the model is left alone, bad input is refused."""

from __future__ import annotations

import copy
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from zogan.errors import ConfigError, IntegrityError, ZoganError
from zogan.select import criteria, select
from zogan.select.criteria import CRITERIA, Criterion
from zogan.select.saliency import eligible
from zogan.select.storage import load_selection, save_selection
from zogan.sparse.selection import Selection


class Net(nn.Module):
    """An embedding tied to the output, two matrices, one unused, dropout."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(10, 8)
        self.up = nn.Linear(8, 16)
        self.drop = nn.Dropout(0.5)
        self.down = nn.Linear(16, 8)
        self.pooler = nn.Linear(8, 8)
        self.output = nn.Linear(8, 10, bias=False)
        self.output.weight = self.embedding.weight
        self.head = nn.Linear(8, 3)

    def forward(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.head(self.down(self.drop(self.up(self.embedding(ids)).relu())).mean(1))
        return logits


def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def data(count: int = 3) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randint(0, 10, (6, 5), generator=generator), torch.randint(0, 3, (6,), generator=generator))
        for _ in range(count)
    ]


def dense_scores(criterion: str) -> dict[str, Tensor]:
    """The criterion by its definition, from whole gradients."""
    model = Net().eval()
    names = ("up.weight", "down.weight")
    sums = {name: torch.zeros_like(model.get_parameter(name)) for name in names}
    for batch in data():
        model.zero_grad()
        loss(model, batch).backward()  # type: ignore[no-untyped-call]
        for name in names:
            weight, grad = model.get_parameter(name).detach(), model.get_parameter(name).grad
            assert grad is not None
            sums[name] += grad**2 if criterion == "fisher" else grad if criterion == "gradient" else weight * grad
    if criterion == "magnitude":
        return {name: model.get_parameter(name).detach().abs() for name in names}
    if criterion == "movement":
        return {name: -total for name, total in sums.items()}
    return {name: total.abs() for name, total in sums.items()}


@pytest.mark.parametrize("criterion", sorted(set(CRITERIA) - {"random"}))
def test_a_criterion_chooses_what_its_definition_says(criterion: str) -> None:
    found = select(Net(), data(), criterion=criterion, density=0.1, loss=loss, whole=["head.weight", "head.bias"])
    scores = dense_scores(criterion)
    assert found.count == int(0.1 * 2 * 8 * 16)
    kept = torch.cat([scores[name].reshape(-1)[found.positions[name]] for name in scores])
    best = torch.cat([total.reshape(-1) for total in scores.values()]).topk(found.count).values
    torch.testing.assert_close(kept.sort().values, best.sort().values)


def test_random_is_the_seeds() -> None:
    first, again, other = (select(Net(), data(), criterion="random", density=0.2, loss=loss, seed=s) for s in (1, 1, 2))
    assert all(torch.equal(first.positions[name], again.positions[name]) for name in first.positions)
    assert any(not torch.equal(first.positions[name], other.positions[name]) for name in first.positions)


def test_the_model_is_left_as_it_was() -> None:
    model = Net()
    model.up.bias.requires_grad_(False)
    model.down.weight.grad = None
    twin = copy.deepcopy(model)
    select(model, data(), density=0.1, loss=loss)
    assert model.training
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))
    assert [p.requires_grad for p in model.parameters()] == [p.requires_grad for p in twin.parameters()]
    assert all(p.grad is None and not p._post_accumulate_grad_hooks for p in model.parameters())


def test_only_free_matrices_that_the_loss_reaches_count() -> None:
    model = Net()
    assert set(eligible(model)) == {"up.weight", "down.weight", "pooler.weight", "head.weight"}
    found = select(model, data(), density=0.5, loss=loss, whole=["head.weight"], allocation="tensor")
    assert set(found.shapes) == set(found.positions) == {"up.weight", "down.weight"}
    assert found.whole == ("head.weight",)


def test_names_can_be_taken_in_and_left_out() -> None:
    assert set(eligible(Net(), include="^(up|down)", exclude="down")) == {"up.weight"}


def test_the_share_is_never_passed() -> None:
    for density in (0.001, 0.013, 0.5, 1.0):
        found = select(Net(), data(), density=density, loss=loss, include="up|down")
        assert 1 <= found.count <= max(1, density * 256)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"select\.criterion: no criterion is called 'gradiant'\. Did you mean 'grad"):
        select(Net(), data(), criterion="gradiant", loss=loss)
    with pytest.raises(ConfigError, match="no weight matches include='nothing'"):
        select(Net(), data(), include="nothing", loss=loss)
    with pytest.raises(ConfigError, match="no regular expression"):
        select(Net(), data(), include="(", loss=loss)
    with pytest.raises(ZoganError, match="needs at least one batch"):
        select(Net(), [], loss=loss)
    with pytest.raises(ZoganError, match="the loss of batch 1 is nan"):
        select(Net(), data(), loss=lambda model, batch: loss(model, batch) * float("nan"))
    with pytest.raises(ZoganError, match="reaches none of the weights"):
        select(Net(), data(), include="pooler", loss=loss)


def test_an_installed_package_can_bring_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("smallest", "test_select_plugin:SMALLEST", "zogan.criteria")
    monkeypatch.setattr(EntryPoint, "load", lambda self: Criterion(None, lambda weight: -weight.abs()))
    monkeypatch.setattr(criteria, "entry_points", lambda group: [point])
    found = select(Net(), data(), criterion="smallest", density=0.1, loss=loss, include="up")
    weight = Net().up.weight.detach().abs().reshape(-1)
    assert float(weight[found.positions["up.weight"]].max()) <= float(weight.sort().values[found.count - 1])
    monkeypatch.setattr(EntryPoint, "load", lambda self: "no criterion")
    with pytest.raises(ConfigError, match="gives no Criterion"):
        select(Net(), data(), criterion="smallest", loss=loss)


def test_the_file_gives_back_what_it_was_given(tmp_path: Path) -> None:
    found = select(Net(), data(), density=0.1, loss=loss, whole=["head.weight"])
    path = tmp_path / "selection.safetensors"
    save_selection(found, path)
    again = load_selection(path)
    assert again.positions.keys() == found.positions.keys()
    assert all(torch.equal(again.positions[name], found.positions[name]) for name in found.positions)
    assert (again.shapes, again.whole, again.meta) == (found.shapes, found.whole, found.meta)
    first = path.read_bytes()
    save_selection(again, path)
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda raw: raw[: len(raw) // 2], "is no selection file"),
        (lambda raw: b"", "is no selection file"),
        (lambda raw: raw.replace(b"zogan-selection/1", b"zogan-selection/9"), "format 'zogan-selection/9'"),
        (lambda raw: raw[:-8] + (10**6).to_bytes(8, "little"), "positions must be strictly increasing"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, spoil: object, said: str) -> None:
    path = tmp_path / "selection.safetensors"
    save_selection(Selection({"a": torch.tensor([0, 3])}, {"a": (2, 2)}), path)
    assert callable(spoil)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(IntegrityError, match=said):
        load_selection(path)
