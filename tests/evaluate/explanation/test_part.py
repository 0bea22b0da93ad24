"""Parts of a patch are patches of the same base."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tiny_patch import make_base, make_patch, snapshot
from zogan.errors import IntegrityError
from zogan.evaluate.explanation.part import changes_alone, layers_of, smaller
from zogan.patch import Patch, apply_folder, revert_folder

SHAPES = {
    "embeddings.weight": (50, 8),
    "layer.0.dense.weight": (16, 8),
    "layer.0.dense.bias": (16,),
    "layer.10.dense.weight": (16, 8),
    "layer.2.dense.weight": (16, 8),
}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return make_base(tmp_path / "base", shapes=SHAPES)


def test_layers_stand_in_the_order_of_the_model(base: Path) -> None:
    parts = layers_of(make_patch(base))
    assert [(part.name, part.layer) for part in parts] == [
        ("layer.0", 0),
        ("layer.2", 2),
        ("layer.10", 10),
        ("outside", None),
    ]
    assert parts[0].tensors == {"layer.0.dense.weight", "layer.0.dense.bias"}
    assert frozenset[str]().union(*(part.tensors for part in parts)) == SHAPES.keys()


def test_a_smaller_patch_is_a_patch_of_the_same_base(base: Path, tmp_path: Path) -> None:
    whole = make_patch(base, head=True, adapter=True)
    part = smaller(whole, layers_of(whole)[1].tensors)
    part.save(tmp_path / "part.safetensors")
    read = Patch.load(tmp_path / "part.safetensors")
    assert read.digest == part.digest != whole.digest
    assert read.meta.parent == whole.digest
    assert read.tensors.keys() == whole.tensors.keys()
    assert read.adapters.keys() == whole.adapters.keys()
    assert read.count == len(whole.changes["layer.2.dense.weight"].positions)
    before = snapshot(base)
    alone = changes_alone(whole, layers_of(whole)[1].tensors)
    assert not alone.tensors
    assert not alone.adapters
    alone.save(tmp_path / "alone.safetensors")
    apply_folder(tmp_path / "alone.safetensors", base, output=tmp_path / "tuned")
    assert snapshot(tmp_path / "tuned") != before
    revert_folder(tmp_path / "alone.safetensors", tmp_path / "tuned", output=tmp_path / "again")
    assert (tmp_path / "again/model.safetensors").read_bytes() == (base / "model.safetensors").read_bytes()


def test_switching_off_twice_is_refused(base: Path) -> None:
    whole = make_patch(base)
    part = changes_alone(whole, layers_of(whole)[0].tensors)
    model = torch.nn.Module()
    model.weight = torch.nn.Parameter(torch.zeros(16, 8))
    with pytest.raises(IntegrityError, match="no such tensor"):
        part.revert(model, {"weight": "layer.0.dense.weight"})
