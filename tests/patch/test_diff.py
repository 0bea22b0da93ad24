"""Two patches side by side, against dense tensors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tiny_patch import make_base, make_patch
from tiny_stack import applied, make_stack
from zogan.patch.change import bits
from zogan.patch.diff import PatchDifference, diff_patches
from zogan.patch.patch import Patch
from zogan.sparse.attach import Delta
from zogan.weights import fingerprint


def normal_patch(base: Path, path: Path, seed: int) -> None:
    """To plain numbers, of which norms can be taken."""
    draw = torch.Generator().manual_seed(seed)
    deltas = {}
    for name, tensor in load_file(base / "model.safetensors").items():
        positions = torch.randperm(tensor.numel(), generator=draw)[: tensor.numel() // 2].sort().values
        old = tensor.reshape(-1)[positions]
        deltas[name] = Delta(positions, old, torch.randn(len(old), generator=draw).to(tensor.dtype))
    Patch.capture(deltas, {name: name for name in deltas}, fingerprint(base), base).save(path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_counts_and_norms_are_those_of_dense_tensors(tmp_path: Path, dtype: torch.dtype) -> None:
    draw = torch.Generator().manual_seed(0)
    shapes = {
        "layers.0.q.weight": (6, 5),
        "layers.0.k.weight": (4, 4),
        "layers.10.q.weight": (3, 3),
        "norm.weight": (5,),
    }
    state = {name: torch.randn(shape, generator=draw).to(dtype) for name, shape in shapes.items()}
    (tmp_path / "base").mkdir()
    save_file(state, tmp_path / "base" / "model.safetensors")
    for seed in (1, 2):
        normal_patch(tmp_path / "base", tmp_path / str(seed), seed)
    found = diff_patches(tmp_path / "1", tmp_path / "2")
    a, b = (applied(state, tmp_path / place) for place in "12")
    assert [one.name for one in found.changes] == sorted(shapes)
    for one in found.changes:
        left, right, old = (side[one.name].double().reshape(-1) for side in (a, b, state))
        in_a, in_b = (bits(side[one.name]) != bits(state[one.name]) for side in (a, b))
        assert one.only_a == int((in_a & ~in_b).sum())
        assert one.only_b == int((in_b & ~in_a).sum())
        assert one.both == int((in_a & in_b).sum())
        assert one.differ == int((in_a & in_b & (bits(a[one.name]) != bits(b[one.name]))).sum())
        assert one.norm_a == pytest.approx((left - old).norm().item())
        assert one.norm_b == pytest.approx((right - old).norm().item())
        assert one.norm_difference == pytest.approx((left - right).norm().item())
    assert [one.name for one in found.layers] == ["layers.0", "layers.10", "norm"]
    assert found.layers[0].both == sum(one.both for one in found.changes if one.name.startswith("layers.0."))
    apart = sum((a[name].double() - b[name].double()).square().sum().item() for name in shapes)
    assert found.total.norm_difference == pytest.approx(apart**0.5)
    assert found.total.bytes_a == sum(one.bytes_a for one in found.changes) > 0
    assert found.relation == "competes"


def test_a_patch_and_itself_differ_in_nothing(tmp_path: Path) -> None:
    make_patch(make_base(tmp_path / "base"), 0.5, head=True, adapter=True).save(tmp_path / "p")
    found = diff_patches(tmp_path / "p", tmp_path / "p")
    assert (found.total.only_a, found.total.only_b, found.total.differ) == (0, 0, 0)
    assert found.total.both == Patch.load(tmp_path / "p").count
    assert {one.state for one in (*found.tensors, *found.adapters)} == {"same"}
    assert found.metadata == ()


def test_heads_adapters_and_metadata(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    plain = make_patch(base, 0.1, head=True)
    changed = {"head.weight": torch.ones(2, 8) * 3, "head.bias": torch.zeros(3)}
    meta = plain.meta.model_copy(update={"task": {"task": "classification", "labels": ["x"]}, "adapter": {"r": 2}})
    plain.save(tmp_path / "a")
    Patch(plain.changes, changed, {"q.lora_A.weight": torch.ones(1)}, meta).save(tmp_path / "b")
    found = diff_patches(tmp_path / "a", tmp_path / "b")
    assert [(one.name, one.state, one.largest) for one in found.tensors] == [
        ("head.bias", "differs", None),
        ("head.weight", "differs", 2.0),
    ]
    assert [(one.state, one.a, one.b) for one in found.adapters] == [("only b", None, "F32 [1]")]
    assert {one.key: one.b for one in found.metadata} == {"adapter.r": 2, "task.labels": ["x"]}


def test_what_is_not_finite_has_no_norm(tmp_path: Path) -> None:
    make_patch(make_base(tmp_path / "base"), 1.0).save(tmp_path / "a")  # any bits: NaN among them
    make_patch(tmp_path / "base", 0.0).save(tmp_path / "b")
    found = diff_patches(tmp_path / "a", tmp_path / "b")
    assert (found.total.norm_a, found.total.norm_b, found.total.norm_difference) == (None, 0.0, None)
    assert PatchDifference.model_validate_json(found.model_dump_json()) == found


def test_tensors_of_unlike_shapes_share_no_position(tmp_path: Path) -> None:
    for place, shape in (("a", (4, 2)), ("b", (2, 4))):
        make_patch(make_base(tmp_path / f"base {place}", shapes={"w": shape}), 1.0).save(tmp_path / place)
    found = diff_patches(tmp_path / "a", tmp_path / "b")
    assert (found.total.only_a, found.total.only_b, found.total.both) == (8, 8, 0)
    assert found.relation == "other base"


def test_a_patch_made_on_the_others_result_is_told(tmp_path: Path) -> None:
    stack = make_stack(tmp_path, 2, seed=2)
    assert diff_patches(*stack.paths).relation == "stack"
    assert diff_patches(*reversed(stack.paths)).relation == "other base"
