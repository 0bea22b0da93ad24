"""`zogan.select`, as a training loop calls it: what it passes on, its defaults, and what it says of itself."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput

import zogan
from tiny_net import Net, batches, loss
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
