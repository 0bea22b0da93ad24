"""`zogan.select`, as a training loop calls it: what it passes on, its defaults, and what it says of itself."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput

import zogan
from tiny_net import Net, Normed, batches, gradients, loss
from zogan.errors import ConfigError, ZoganError
from zogan.progress import Silent
from zogan.select import select


def test_what_is_asked_for_is_passed_on() -> None:
    found = select(Net(), batches(), density=0.5, loss=loss, whole=["head.weight"], allocation="tensor")
    assert set(found.shapes) == set(found.positions) == {"up.weight", "down.weight"}
    assert {len(flat) for flat in found.positions.values()} == {64}
    assert found.whole == ("head.weight",)
    assert set(select(Net(), batches(), loss=loss, include="up|down", exclude="up").shapes) == {"down.weight"}


def test_it_says_what_it_was_asked() -> None:
    found = select(Net(), batches(), criterion="fisher", density=0.1, loss=loss, allocation="row", seed=3)
    meta = dict(found.meta)
    assert meta.pop("worth").keys() == found.positions.keys()
    assert meta == {
        "criterion": "fisher",
        "density": 0.1,
        "allocation": "row",
        "pattern": "elements",
        "seed": 3,
    }
    blocks = select(Net(), batches(), density=0.1, loss=loss, pattern="blocks", block=4)
    assert (blocks.meta["pattern"], blocks.meta["block"]) == ("blocks", 4)


def test_the_models_own_loss_is_the_default() -> None:
    class Own(Net):
        def forward(self, ids: Tensor, labels: Tensor | None = None) -> SequenceClassifierOutput:
            logits = super().forward(ids)
            value = None if labels is None else nn.functional.cross_entropy(logits, labels)
            return SequenceClassifierOutput(loss=value, logits=logits)

    given = ({"ids": ids, "labels": labels} for ids, labels in batches())
    ours, theirs = select(Own(), given, density=0.1), select(Net(), batches(), density=0.1, loss=loss)
    assert all(torch.equal(ours.positions[name], theirs.positions[name]) for name in theirs.positions)


def test_it_is_what_attach_wants() -> None:
    model = Net()
    found = select(model, batches(), density=0.1, loss=loss, whole=["head.weight", "head.bias"])
    zogan.attach(model, found)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == found.count + 3 * 8 + 3
    with pytest.raises(ZoganError, match="attached already"):
        select(model, batches(), density=0.1, loss=loss)
    zogan.detach(model)
    with pytest.raises(ConfigError, match="no weight matches include='missing"):
        select(model, batches(), density=0.1, loss=loss, include="missing")


def test_bad_input_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"select\.criterion: no criterion is called 'gradiant'\. Did you mean 'grad"):
        select(Net(), batches(), criterion="gradiant", loss=loss)
    with pytest.raises(ConfigError, match="no weight matches include='nothing'"):
        select(Net(), batches(), include="nothing", loss=loss)
    with pytest.raises(ConfigError, match=r"select\.allocation: allocation 'row' is for pattern 'elements', not 'ro"):
        select(Net(), batches(), allocation="row", pattern="rows", loss=loss)
    with pytest.raises(ConfigError, match=r"select\.block: a block cannot have a side of 1\. Take at least 2"):
        select(Net(), batches(), pattern="blocks", block=1, loss=loss)


def test_progress_is_told() -> None:
    class Heard(Silent):
        stage = ""

        def start(self, stage: str, total: int) -> None:
            self.stage = f"{stage} {total}"

    heard = Heard()
    select(Net(), batches(2), loss=loss, progress=heard)
    assert heard.stage == "select 2"


def test_torch_comes_late() -> None:
    program = "import sys, zogan.select; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_more_than_matrices_may_be_chosen() -> None:
    model = Normed()
    found = select(
        model,
        batches(),
        density=0.25,
        loss=loss,
        parameters=["matrices", "biases", "norms", "embeddings"],
        whole=["head.weight", "head.bias"],
    )
    counts = found.meta["parameters"]
    assert list(counts) == ["matrices", "biases", "norms", "embeddings"]
    assert (counts["biases"], counts["norms"]) == (16, 32)
    assert counts["embeddings"] == len(found.positions["embedding.weight"])
    assert sum(counts.values()) == found.count == int(0.25 * 336)
    assert found.whole == ("head.weight", "head.bias", "norm.bias", "norm.weight", "scale.weight", "up.bias")
    assert found.vectors == found.whole[2:]
    zogan.attach(model, found)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == found.count + 3 * 8 + 3


def test_the_chosen_weights_of_every_kind_have_their_dense_gradient() -> None:
    model = Normed().eval()
    found = select(
        model,
        batches(),
        density=0.6,
        loss=loss,
        parameters=["matrices", "biases", "norms", "embeddings"],
        exclude="head",
    )
    names = (*found.positions, *found.vectors)
    assert len(found.positions["embedding.weight"])
    dense = gradients(Normed(), names, count=1)[0]
    zogan.attach(model, found)
    loss(model, batches(1)[0]).backward()  # type: ignore[no-untyped-call]
    for name, flat in found.positions.items():
        ours = model.get_parameter(name.replace("weight", "values")).grad
        assert ours is not None
        torch.testing.assert_close(ours, dense[name].reshape(-1)[flat])
    for name in found.vectors:
        torch.testing.assert_close(model.get_parameter(name).grad, dense[name])


def test_kinds_that_cannot_be_are_refused() -> None:
    def asked(model: nn.Module, *kinds: Any, **keys: Any) -> None:
        select(model, batches(), density=0.5, loss=loss, parameters=kinds, **keys)

    with pytest.raises(
        ConfigError, match=r"^select\.parameters: no parameters are called 'bias'\. Did you mean 'biases'"
    ):
        asked(Normed(), "bias")
    with pytest.raises(
        ConfigError, match=r"^select\.parameters: of embeddings single weights can be chosen, not 'rows'"
    ):
        asked(Normed(), "matrices", "embeddings", pattern="rows")
    with pytest.raises(ConfigError, match="the model has no embeddings that may be chosen"):
        asked(Normed(), "embeddings", frozen=["embedding.weight"])
    with pytest.raises(ConfigError, match=r"norm\.weight would train whole in bfloat16"):
        asked(Normed().bfloat16(), "matrices", "norms")


def test_without_more_kinds_nothing_is_said_of_them() -> None:
    found = select(Normed(), batches(), density=0.25, loss=loss)
    assert "parameters" not in found.meta
    assert found.whole == found.vectors == ()
