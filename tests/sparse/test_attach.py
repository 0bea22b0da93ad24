"""Attach and detach: names stay, only what is chosen trains, and the plain model comes back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zogan.errors import ZoganError
from zogan.sparse.attach import attach, deltas, detach, old_values
from zogan.sparse.selection import Selection


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(6, 4)
        self.body = nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)
        self.output = nn.Linear(4, 6, bias=False)
        self.output.weight = self.embedding.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.output(self.norm(self.body(self.embedding(ids))))
        return result


def body(*flat: int, whole: tuple[str, ...] = ()) -> Selection:
    return Selection({"body.weight": torch.tensor(flat, dtype=torch.int64)}, {"body.weight": (4, 4)}, whole)


def test_the_bases_keys_stay() -> None:
    model = Tied()
    keys = set(model.state_dict())
    attach(model, body(1, 5))
    assert set(model.state_dict()) - keys == {"body.values", "body.chosen", "body.old"}
    assert keys <= set(model.state_dict())
    assert [type(module).__name__ for module in (model.body, model.output)] == ["SparseLinear", "Linear"]
    detach(model)
    assert set(model.state_dict()) == keys
    assert type(model.body) is nn.Linear


def test_only_what_is_chosen_trains() -> None:
    model = Tied()
    model.norm.bias.requires_grad_(False)
    flags = {name: p.requires_grad for name, p in model.named_parameters()}
    attach(model, body(1, 5, whole=("norm.weight",)))
    trained = {name: p.numel() for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {"body.values": 2, "norm.weight": 4}
    detach(model)
    assert {name: p.requires_grad for name, p in model.named_parameters()} == flags


@pytest.mark.parametrize(
    "flat", [(1, 5, 11), (4, 5, 6, 7), (1, 5, 9, 13), (0, 1, 4, 5)], ids=["elements", "row", "column", "block"]
)
def test_deltas_list_all_that_changed_and_nothing_else(flat: tuple[int, ...]) -> None:
    model = Tied()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    attach(model, body(*flat, whole=("norm.weight",)))
    steps = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        steps.zero_grad()
        model(torch.arange(6)).square().sum().backward()
        steps.step()
    seen = deltas(model)
    changed = detach(model)
    assert changed.keys() == seen.keys() == {"body.weight", "norm.weight"}
    assert changed["body.weight"].positions.tolist() == list(flat)
    assert (changed["body.weight"].new != changed["body.weight"].old).all()
    for name, tensor in model.state_dict().items():
        expected = before[name].reshape(-1).clone()
        if name in changed:
            assert torch.equal(expected[changed[name].positions], changed[name].old)
            expected[changed[name].positions] = changed[name].new
        assert torch.equal(expected, tensor.reshape(-1)), name


def vectors(*names: str, head: tuple[str, ...] = ()) -> Selection:
    return Selection({}, dict.fromkeys(names, (4,)), (*names, *head))


def test_vectors_have_old_values_and_a_head_has_none() -> None:
    model = Tied()
    before = model.norm.weight.detach().clone()
    attach(model, vectors("norm.weight", head=("body.bias",)))
    with torch.no_grad():
        model.norm.weight.add_(1.0)
    old = old_values(model)
    assert old.keys() == {"norm.weight"}
    assert torch.equal(old["norm.weight"], before)


def test_vectors_end_as_the_base_stores_them() -> None:
    model = Tied()
    attach(model, vectors("norm.weight"), stored={"norm.weight": torch.bfloat16})
    with torch.no_grad():
        model.norm.weight.add_(torch.tensor([0.0, 1e-4, 0.3, 0.7]))
    changed = detach(model)["norm.weight"]
    assert changed.old.dtype == changed.new.dtype == torch.bfloat16
    assert torch.equal(changed.new, torch.tensor([1.0, 1.0, 1.3, 1.7], dtype=torch.bfloat16))
    assert torch.equal(model.norm.weight, changed.new.float())


def test_no_position_is_no_swap() -> None:
    model = Tied()
    attach(model, Selection({"body.weight": torch.tensor([], dtype=torch.int64)}, {"body.weight": (4, 4)}))
    assert type(model.body) is nn.Linear
    assert detach(model) == {}


def refused(selection: Selection, said: str) -> None:
    model = Tied()
    state = {name: (p.requires_grad, type(p)) for name, p in model.named_parameters()}
    with pytest.raises(ZoganError, match=said):
        attach(model, selection)
    assert {name: (p.requires_grad, type(p)) for name, p in model.named_parameters()} == state


def test_what_cannot_be_is_refused_and_the_model_left_alone() -> None:
    one = torch.tensor([0])
    refused(Selection({"bdy.weight": one}, {"bdy.weight": (4, 4)}), r"bdy\.weight: is chosen but is not in the model")
    refused(Selection({"body.weight": one}, {"body.weight": (4, 5)}), r"has shape \(4, 4\), the selection was made for")
    refused(Selection({"output.weight": one}, {"output.weight": (6, 4)}), r"output\.weight: .*")
    refused(Selection({"embedding.weight": one}, {"embedding.weight": (6, 4)}), "is tied to another layer's weight")
    refused(Selection({}, {"norm.bias": (5,)}, ("norm.bias",)), r"norm\.bias: has shape \(4,\), the selection was made")
    refused(body(0, whole=("nrm.weight",)), r"to train whole but is not in the model\. Did you mean 'norm\.weight'")


def test_twice_is_refused() -> None:
    model = Tied()
    attach(model, body(0))
    with pytest.raises(ZoganError, match="attached already"):
        attach(model, body(0))
    detach(model)
    with pytest.raises(ZoganError, match="no selection is attached"):
        detach(model)
    with pytest.raises(ZoganError, match="no selection is attached"):
        deltas(model)
