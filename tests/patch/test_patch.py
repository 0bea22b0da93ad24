"""A patch in memory: captured, saved, loaded, applied and taken back bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tiny_patch import make_base, make_patch, random_bits
from zogan.errors import IntegrityError, ZoganError
from zogan.patch.change import bits
from zogan.patch.patch import Patch
from zogan.sparse.attach import Delta
from zogan.weights import fingerprint


class Tiny(nn.Module):
    """Parameters named otherwise than the base's tensors, as a task's model names them."""

    def __init__(self, tensors: dict[str, Tensor], dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.body = nn.ParameterDict(
            {name.replace(".", "_"): t.clone().to(dtype or t.dtype) for name, t in tensors.items()}
        )
        self.head = nn.Linear(8, 2)

    def names(self, tensors: dict[str, Tensor]) -> dict[str, str]:
        return {f"body.{name.replace('.', '_')}": name for name in tensors}


def same_bits(left: nn.Module, right: nn.Module) -> bool:
    pairs = zip(left.state_dict().items(), right.state_dict().items(), strict=True)
    return all(a == b and torch.equal(bits(x), bits(y)) for (a, x), (b, y) in pairs if a.startswith("body"))


@settings(max_examples=40, deadline=None)
@given(
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
    density=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
    seed=st.integers(0, 10**6),
)
def test_apply_then_revert_in_memory(
    tmp_path_factory: pytest.TempPathFactory, dtype: torch.dtype, density: float, seed: int
) -> None:
    folder = make_base(tmp_path_factory.mktemp("m"), dtype, seed=seed)
    tensors = load_file(folder / "model.safetensors")
    make_patch(folder, density, seed=seed + 1, head=True).save(folder / "p")
    patch = Patch.load(folder / "p")
    model, plain = Tiny(tensors), Tiny(tensors)
    names = model.names(tensors)
    patch.apply(model, names)
    for name, change in patch.changes.items():
        weight = model.get_parameter(f"body.{name.replace('.', '_')}").detach()
        expected = tensors[name].clone().reshape(-1)
        bits(expected)[change.positions] = bits(change.new)
        assert torch.equal(bits(weight), bits(expected.view(weight.shape)))
    assert torch.equal(model.head.weight, torch.ones(2, 8))
    patch.revert(model, names)
    assert same_bits(model, plain)


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    patch = make_patch(make_base(tmp_path), head=True, adapter=True)
    patch.save(tmp_path / "p")
    loaded = Patch.load(tmp_path / "p")
    assert loaded.meta == patch.meta
    assert (loaded.count, loaded.density) == (patch.count, patch.density)
    assert patch.count == 40 + 13 + 2
    assert patch.density == pytest.approx(55 / 545)
    assert loaded.adapters.keys() == patch.adapters.keys()
    loaded.save(tmp_path / "q")
    assert (tmp_path / "p").read_bytes() == (tmp_path / "q").read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_a_model_in_another_dtype_is_as_if_loaded_from_the_patched_base(tmp_path: Path) -> None:
    tensors = {"a.weight": torch.randn(6, 4).bfloat16()}
    save_file(tensors, tmp_path / "model.safetensors")
    new = torch.tensor([1.5, -0.0]).bfloat16()
    delta = Delta(torch.tensor([1, 9]), tensors["a.weight"].reshape(-1)[[1, 9]], new)
    patch = Patch.capture({"w": delta}, {"w": "a.weight"}, fingerprint(tmp_path), tmp_path)
    model = Tiny(tensors, torch.float32)
    patch.apply(model, model.names(tensors))
    tensors["a.weight"].view(-1)[[1, 9]] = new
    assert torch.equal(model.body["a_weight"], tensors["a.weight"].float())


def test_a_parameter_that_is_no_one_block(tmp_path: Path) -> None:
    patch = make_patch(make_base(tmp_path, shapes={"w": (4, 6)}), 0.5)
    model = nn.Module()
    stored = load_file(tmp_path / "model.safetensors")["w"]
    model.weight = nn.Parameter(stored.T.contiguous().T)
    assert not model.weight.is_contiguous()
    patch.apply(model, {"weight": "w"})
    assert not torch.equal(bits(model.weight.data), bits(stored))
    patch.revert(model, {"weight": "w"})
    assert torch.equal(bits(model.weight.data.contiguous()), bits(stored))


def test_refused_in_memory_and_nothing_is_written(tmp_path: Path) -> None:
    folder = make_base(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    patch = make_patch(folder, head=True)
    model = Tiny(tensors)
    names = model.names(tensors)

    def refuse(fault: str, act: str = "apply", names: dict[str, str] = names, model: Tiny = model) -> None:
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        with pytest.raises(IntegrityError, match=fault):
            getattr(patch, act)(model, names)
        assert all(torch.equal(bits(p.detach()), bits(before[name])) for name, p in model.named_parameters())

    refuse("tensor 'embeddings.weight': the patch is not applied here", "revert")
    refuse("tensor 'embeddings.weight': the model has no such tensor", names={})
    other = {**tensors, "layer.0.dense.weight": random_bits((16, 8), torch.float32, 99)}
    refuse("tensor 'layer.0.dense.weight': holds other values than the patch's base", model=Tiny(other))
    turned = {**tensors, "layer.0.dense.weight": tensors["layer.0.dense.weight"].T}
    refuse(r"is \[8, 16\] in the model, \[16, 8\] in the patch", model=Tiny(turned))
    wide = Tiny(tensors)
    wide.head = nn.Linear(8, 3, bias=False)
    refuse(r"tensor 'head.weight': is \[2, 8\], the model's is \[3, 8\]", model=wide)
    patch.apply(model, names)
    refuse("tensor 'embeddings.weight': the patch is applied already")
    change = patch.changes["layer.0.dense.weight"]
    bits(model.body["layer_0_dense_weight"].data).view(-1)[change.positions[0]] ^= 1
    refuse("tensor 'layer.0.dense.weight': was changed after the patch was applied", "revert")


def test_capture_leaves_out_what_did_not_change(tmp_path: Path) -> None:
    folder = make_base(tmp_path, shapes={"a": (4,), "b": (4,)})
    stored = load_file(folder / "model.safetensors")
    new = stored["a"].clone()
    bits(new)[2] ^= 1
    whole = torch.arange(4)
    deltas = {
        "a": Delta(whole, stored["a"], new),
        "b": Delta(whole, stored["b"], stored["b"].clone()),
        "head.weight": Delta(whole, torch.zeros(4), torch.ones(4)),
    }
    patch = Patch.capture(
        deltas, {"a": "a", "b": "b"}, fingerprint(folder), folder, tensors={"head.weight": torch.ones(2, 2)}
    )
    assert list(patch.changes) == ["a"]
    assert patch.changes["a"].positions.tolist() == [2]
    assert patch.tensors["head.weight"].shape == (2, 2)


def test_capture_refuses(tmp_path: Path) -> None:
    folder = make_base(tmp_path, torch.bfloat16, {"a": (4,)})
    print_ = fingerprint(folder)
    stored = load_file(folder / "model.safetensors")["a"]
    one = torch.tensor([0])
    fine = Delta(one, stored[:1], torch.ones(1).bfloat16())
    with pytest.raises(ZoganError, match=r"w: has changed, but is no tensor of the base. Did you mean 'wa'"):
        Patch.capture({"w": fine}, {"wa": "a"}, print_, folder)
    with pytest.raises(ZoganError, match="v: changes tensor 'a', as another parameter does"):
        Patch.capture({"u": fine, "v": fine}, {"u": "a", "v": "a"}, print_, folder)
    with pytest.raises(ZoganError, match=r"values of torch.float32 do not fit the base's BF16. Pass stored="):
        Patch.capture({"a": Delta(one, stored[:1].float(), torch.tensor([0.1]))}, {"a": "a"}, print_, folder)
    with pytest.raises(ZoganError, match="a changed position is not below 4"):
        Patch.capture({"a": Delta(torch.tensor([4]), stored[:1], fine.new)}, {"a": "a"}, print_, folder)
    with pytest.raises(IntegrityError, match="does not hold the old values"):
        Patch.capture({"a": Delta(one, fine.new, stored[:1])}, {"a": "a"}, print_, folder)
    with pytest.raises(ZoganError, match="the name reads as a path"):
        Patch.capture({}, {}, print_, folder, tensors={"../x": torch.ones(1)})
    with pytest.raises(ZoganError, match="stand only together"):
        Patch.capture({}, {}, print_, folder, adapters={"x": torch.ones(1)})
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-1] + b"?")
    with pytest.raises(IntegrityError, match="has changed since the base was opened"):
        Patch.capture({"a": fine}, {"a": "a"}, print_, folder)


def test_capture_takes_values_of_a_wider_dtype_that_fit(tmp_path: Path) -> None:
    save_file({"a": torch.arange(4.0).bfloat16()}, tmp_path / "model.safetensors")
    delta = Delta(torch.tensor([1]), torch.tensor([1.0]), torch.tensor([0.5]))
    patch = Patch.capture({"a": delta}, {"a": "a"}, fingerprint(tmp_path), tmp_path)
    assert patch.changes["a"].new.dtype == torch.bfloat16


def test_changes_and_metadata_must_agree(tmp_path: Path) -> None:
    patch = make_patch(make_base(tmp_path))
    with pytest.raises(ZoganError, match="not those that its metadata names"):
        Patch({}, {}, {}, patch.meta)
