"""Adapters of several patches: joined where that is exact, else refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tiny_patch import make_base
from zogan.errors import ZoganError
from zogan.patch.adapters import module_of
from zogan.patch.compose import compose_patches
from zogan.patch.patch import Patch
from zogan.weights import fingerprint

LORA: dict[str, Any] = {"peft_type": "LORA", "r": 2, "lora_alpha": 4}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return make_base(tmp_path / "base")


def adapted(base: Path, name: str, layers: list[str], value: float = 1.0, **config: Any) -> Path:
    """A patch that brings LoRA on some layers, and changes no weight."""
    tensors = {
        f"base_model.model.{layer}.lora_{side}.weight": torch.full((2, 8), value) for layer in layers for side in "AB"
    }
    about = LORA | {"target_modules": layers} | config if layers else None
    path = base.parent / name
    Patch.capture({}, {}, fingerprint(base), base, adapters=tensors, adapter=about, hashes={"name": name}).save(path)
    return path


def test_the_only_one_is_handed_on(base: Path, tmp_path: Path) -> None:
    paths = [adapted(base, "a", ["layers.0.q"]), adapted(base, "b", [])]
    compose_patches(paths, tmp_path / "out")
    out, first = Patch.load(tmp_path / "out"), Patch.load(paths[0])
    assert out.meta.adapter == first.meta.adapter
    assert out.adapters.keys() == first.adapters.keys()


def test_those_on_different_layers_stand_side_by_side(base: Path, tmp_path: Path) -> None:
    paths = [adapted(base, "a", ["layers.1.q"], 1.0), adapted(base, "b", ["layers.0.q", "layers.0.k"], 2.0)]
    compose_patches(paths, tmp_path / "out")
    out = Patch.load(tmp_path / "out")
    assert out.meta.adapter == LORA | {"target_modules": ["layers.0.k", "layers.0.q", "layers.1.q"]}
    assert torch.equal(out.adapters["base_model.model.layers.1.q.lora_A.weight"], torch.full((2, 8), 1.0))
    assert torch.equal(out.adapters["base_model.model.layers.0.k.lora_B.weight"], torch.full((2, 8), 2.0))


def test_two_on_one_layer_are_refused(base: Path, tmp_path: Path) -> None:
    paths = [adapted(base, "a", ["layers.0.q"]), adapted(base, "b", ["layers.0.q"], 2.0)]
    with pytest.raises(
        ZoganError, match=r"b: has an adapter on 'base_model.model.layers.0.q', and so has .*a: .*Merge"
    ):
        compose_patches(paths, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("config", "told"), [({"lora_alpha": 8}, "lora_alpha"), ({"target_modules": "all-linear"}, "target_modules")]
)
def test_unlike_configurations_are_refused(base: Path, tmp_path: Path, config: dict[str, Any], told: str) -> None:
    paths = [adapted(base, "a", ["layers.0.q"]), adapted(base, "b", ["layers.1.q"], 2.0, **config)]
    with pytest.raises(ZoganError, match=rf"b: its adapters' configuration is not that of .*a: {told}. Merge"):
        compose_patches(paths, tmp_path / "out")


def test_the_weight_beside_which_a_tensor_stands() -> None:
    for key in ("x.q.lora_A.weight", "adapter/x.q.lora_B.weight", "x.q.lora_magnitude_vector", "x.q.weight"):
        assert module_of(key) == "x.q"
