"""A patch on a base that has changed: the same bytes where it has not, and told what moved where it has."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from tiny_patch import make_base, make_patch, random_bits
from tiny_stack import DTYPES, applied, folder_of
from zogan.errors import IntegrityError, ZoganError
from zogan.patch.change import bits
from zogan.patch.folder import apply_folder, revert_folder
from zogan.patch.patch import Patch
from zogan.patch.rebase import Keep, rebase_patch
from zogan.sparse.attach import Delta
from zogan.weights import fingerprint

KEEPS: list[Keep] = ["values", "difference"]


@settings(max_examples=12, deadline=None)
@given(
    dtype=st.sampled_from(DTYPES),
    density=st.sampled_from([0.0, 0.1, 1.0]),
    keep=st.sampled_from(KEEPS),
    head=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_onto_the_same_base_it_is_the_same_bytes(
    dtype: torch.dtype, density: float, keep: Keep, head: bool, seed: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        base = make_base(root / "base", dtype, seed=seed)
        make_patch(base, density, seed=seed + 1, head=head, adapter=head).save(root / "p")
        done = rebase_patch(root / "p", base, root / "q", keep=keep)
        assert (root / "q").read_bytes() == (root / "p").read_bytes()
        assert (done.moved, done.dropped, done.was) == (0, 0, done.patch)


@settings(max_examples=12, deadline=None)
@given(dtype=st.sampled_from(DTYPES), share=st.sampled_from([0.1, 0.5, 1.0]), seed=st.integers(0, 10**6))
def test_values_are_put_where_the_base_moved(dtype: torch.dtype, share: float, seed: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        base = make_base(root / "base", dtype, seed=seed)
        patch = make_patch(base, 0.5, seed=seed + 1)
        patch.save(root / "p")
        here = load_file(base / "model.safetensors")
        draw = torch.Generator().manual_seed(seed)
        for place, tensor in enumerate(here.values()):
            moved = torch.rand(tensor.shape, generator=draw) < share
            bits(tensor)[moved] = bits(random_bits(tuple(tensor.shape), dtype, seed + 50 + place))[moved]
        # At some of its positions the base holds already what the patch would put there.
        for name_, change in patch.changes.items():
            bits(here[name_].view(-1))[change.positions[::3]] = bits(change.new)[::3]
        onto = folder_of(here, root / "onto")
        done = rebase_patch(root / "p", onto, root / "q")
        wanted = {name_: tensor.clone() for name_, tensor in here.items()}
        moved_count = 0
        for name_, change in patch.changes.items():
            held = bits(here[name_].view(-1))[change.positions]
            moved_count += int((held != bits(change.old)).sum())
            bits(wanted[name_].view(-1))[change.positions] = bits(change.new)
        result = applied(here, root / "q")
        assert all(torch.equal(bits(result[name_]), bits(wanted[name_])) for name_ in wanted)
        assert done.moved == moved_count
        assert done.weights == patch.count - done.dropped
        assert Patch.load(root / "q").meta.hashes["rewritten"] == patch.digest
        apply_folder(root / "q", onto, root / "tuned")
        revert_folder(root / "q", root / "tuned", root / "back")
        assert (root / "back" / "model.safetensors").read_bytes() == (onto / "model.safetensors").read_bytes()


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """A base of one tensor, and a patch that changes three of its values."""
    return _one(tmp_path, torch.float32)


def _one(root: Path, dtype: torch.dtype) -> Path:
    old, new = torch.tensor([1.0, 2.0, 3.0, 4.0]).to(dtype), torch.tensor([1.5, 2.5, 3.5]).to(dtype)
    base = folder_of({"w": old}, root / "base")
    patch = Patch.capture({"w": Delta(torch.arange(3), old[:3], new)}, {"w": "w"}, fingerprint(base), base)
    patch.save(root / "p")
    return root / "p"


def onto(root: Path, value: Tensor) -> Path:
    return folder_of({"w": value}, root / "onto")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_the_difference_is_taken_wide_and_rounded(tmp_path: Path, dtype: torch.dtype) -> None:
    patch = _one(tmp_path, dtype)
    here = torch.tensor([1.0, 300.0, -0.25, 9.0]).to(dtype)
    done = rebase_patch(patch, onto(tmp_path, here), tmp_path / "q", keep="difference")
    wanted = torch.tensor([1.5, 300.5, 0.25]).to(dtype)
    change = Patch.load(tmp_path / "q").changes["w"]
    # bf16 has no 300.5: rounded to even it is 300, which changes nothing and leaves.
    kept = wanted != here[:3]
    assert torch.equal(change.positions, torch.arange(3)[kept])
    assert torch.equal(change.new, wanted[kept])
    assert torch.equal(change.old, here[:3][kept])
    assert (done.moved, done.dropped) == (2, int((~kept).sum()))


def test_the_report_says_what_moved(one: Path, tmp_path: Path) -> None:
    done = rebase_patch(one, onto(tmp_path, torch.tensor([1.0, 2.5, torch.nan, 4.0])), tmp_path / "q")
    (told,) = done.changes
    assert (told.name, told.listed, told.moved, told.dropped, told.largest_move) == ("w", 3, 2, 1, None)
    assert [(at.position, at.old, at.here, at.new) for at in told.first] == [
        (1, "2.0", "2.5", "2.5"),
        (2, "3.0", "nan (0x7fc00000)", "3.5"),
    ]
    assert done.was_base != done.base


def test_the_parent_is_the_patch_that_stands_in_the_new_base(one: Path, tmp_path: Path) -> None:
    other = onto(tmp_path, torch.full((4,), 9.0))
    was = Patch.load(one)
    replace(was, meta=was.meta.model_copy(update={"parent": "a" * 64})).save(tmp_path / "child")
    rebase_patch(tmp_path / "child", other, tmp_path / "alone")
    assert Patch.load(tmp_path / "alone").meta.parent is None
    apply_folder(tmp_path / "alone", other, in_place=True)
    done = rebase_patch(one, other, tmp_path / "top", keep="difference")
    assert Patch.load(tmp_path / "top").meta.parent == Patch.load(tmp_path / "alone").digest
    assert done.was == was.digest


def test_a_temperature_stays_on_its_own_base_alone(one: Path, tmp_path: Path) -> None:
    patch = Patch.load(one)
    task = {"task": "classification", "temperature": 1.5}
    replace(patch, meta=patch.meta.model_copy(update={"task": task})).save(tmp_path / "warm")
    rebase_patch(tmp_path / "warm", onto(tmp_path, torch.full((4,), 9.0)), tmp_path / "q")
    assert Patch.load(tmp_path / "q").meta.task == {"task": "classification"}
    rebase_patch(tmp_path / "warm", tmp_path / "base", tmp_path / "same")
    assert Patch.load(tmp_path / "same").meta.task == task


def test_no_difference_from_or_to_infinity(tmp_path: Path) -> None:
    old, new = torch.tensor([torch.inf, 1.0, 2.0]), torch.tensor([1.0, torch.nan, 3.0])
    base = folder_of({"w": old}, tmp_path / "base")
    Patch.capture({"w": Delta(torch.arange(3), old, new)}, {"w": "w"}, fingerprint(base), base).save(tmp_path / "p")
    here = torch.tensor([5.0, 5.0, torch.inf])
    rebase_patch(tmp_path / "p", onto(tmp_path, here), tmp_path / "q", keep="difference")
    change = Patch.load(tmp_path / "q").changes["w"]
    assert change.positions.tolist() == [0, 1]  # inf + 1 is inf: it leaves
    assert torch.equal(bits(change.new), bits(torch.tensor([1.0, torch.nan])))


def test_refused(one: Path, tmp_path: Path) -> None:
    def refuse(fault: str, folder: Path, keep: Keep = "values", kind: type[ZoganError] = IntegrityError) -> None:
        with pytest.raises(kind, match=fault):
            rebase_patch(one, folder, tmp_path / "q", keep=keep)
        assert not (tmp_path / "q").exists()
        assert not list(tmp_path.glob(".*"))

    refuse("tensor 'w': is F32 \\[2, 2\\], .*p is for F32 \\[4\\]", onto(tmp_path, torch.ones(2, 2)))
    refuse("tensor 'w': is BF16", onto(tmp_path, torch.ones(4).bfloat16()))
    refuse("tensor 'w': is not in the folder, and .*p changes it", folder_of({"v": torch.ones(4)}, tmp_path / "onto"))
    refuse("no such folder", tmp_path / "nowhere", kind=ZoganError)
    (tmp_path / "onto" / ".zogan-journal").mkdir()
    refuse("a zogan command was killed here", tmp_path / "onto", kind=ZoganError)


def test_a_difference_that_cannot_be_is_refused(tmp_path: Path) -> None:
    patch = _one(tmp_path, torch.float16)
    big = torch.tensor([1.0, 2.0, 65504.0, 0.0]).half()
    rebase_patch(patch, onto(tmp_path, big), tmp_path / "small", keep="difference")  # 65504.5 rounds to what it is
    old, new = torch.tensor([0.0]).half(), torch.tensor([60000.0]).half()
    base = folder_of({"w": old}, tmp_path / "b")
    Patch.capture({"w": Delta(torch.tensor([0]), old, new)}, {"w": "w"}, fingerprint(base), base).save(tmp_path / "far")
    with pytest.raises(ZoganError, match=r"at position 0 the difference leads beyond F16's largest number: 60000.0"):
        rebase_patch(tmp_path / "far", onto(tmp_path, new), tmp_path / "q", keep="difference")
    whole = {"w": torch.tensor([1, 2])}
    save_file(whole, base / "model.safetensors")
    delta = Delta(torch.tensor([0]), whole["w"][:1], torch.tensor([7]))
    Patch.capture({"w": delta}, {"w": "w"}, fingerprint(base), base).save(tmp_path / "ints")
    with pytest.raises(ZoganError, match=r"is I64, of which no difference is kept. Use --keep values"):
        rebase_patch(tmp_path / "ints", onto(tmp_path, torch.tensor([3, 2])), tmp_path / "q", keep="difference")
