"""A stack as one patch: on the base it leaves, bit for bit, what the stack leaves in turn."""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from tiny_patch import make_base, make_patch
from tiny_stack import DTYPES, Stack, applied, make_stack, same
from zogan.errors import IntegrityError, ZoganError
from zogan.patch.change import bits
from zogan.patch.compose import compose_patches
from zogan.patch.folder import apply_folder, revert_folder
from zogan.patch.patch import Patch
from zogan.sparse.attach import Delta
from zogan.weights import fingerprint


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return make_stack(tmp_path, 3, heads=True)


@settings(max_examples=12, deadline=None)
@given(
    dtype=st.sampled_from(DTYPES),
    count=st.integers(1, 20),
    density=st.sampled_from([0.0, 0.1, 0.6, 1.0]),
    heads=st.booleans(),
    with_base=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_composed_is_applied_in_turn(
    dtype: torch.dtype, count: int, density: float, heads: bool, with_base: bool, seed: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        stack = make_stack(root, count, dtype=dtype, seed=seed, density=density, heads=heads)
        out = root / "out.safetensors"
        done = compose_patches(stack.paths, out, base=stack.base if with_base else None)
        base, end = stack.states[0], stack.states[-1]
        assert same(applied(base, out), end)
        assert same(applied(end, out, back=True), base)
        patch = Patch.load(out)
        # Exactly what differs is listed, and nothing else.
        for tensor, before in base.items():
            differs = (bits(before).reshape(-1) != bits(end[tensor]).reshape(-1)).nonzero().flatten()
            listed = patch.changes[tensor].positions if tensor in patch.changes else torch.zeros(0).long()
            assert torch.equal(differs, listed)
        brought = {key: value for head in stack.heads for key, value in head.items()}
        assert patch.tensors.keys() == brought.keys()
        assert all(torch.equal(patch.tensors[key], brought[key]) for key in brought)
        parts = [Patch.load(path) for path in stack.paths]
        assert (done.patch, done.weights, done.listed) == (patch.digest, patch.count, sum(one.count for one in parts))
        assert done.parts == tuple(one.digest for one in parts)
        # The file is of the one form that saving gives, and a folder takes it and gives it back.
        patch.save(root / "again.safetensors")
        assert (root / "again.safetensors").read_bytes() == out.read_bytes()
        before_bytes = (stack.base / "model.safetensors").read_bytes()
        apply_folder(out, stack.base, root / "tuned")
        assert fingerprint(root / "tuned").tensors == fingerprint(root / "state").tensors
        revert_folder(out, root / "tuned", root / "back")
        assert (root / "back" / "model.safetensors").read_bytes() == before_bytes


def test_composing_composed_patches_is_composing_all(tmp_path: Path) -> None:
    stack = make_stack(tmp_path, 6, seed=5)
    compose_patches(stack.paths[:3], tmp_path / "low")
    compose_patches(stack.paths[3:], tmp_path / "high")
    compose_patches([tmp_path / "low", tmp_path / "high"], tmp_path / "both")
    compose_patches(stack.paths, tmp_path / "all")
    both, everything = Patch.load(tmp_path / "both"), Patch.load(tmp_path / "all")
    assert both.meta.after == everything.meta.after
    assert all(torch.equal(bits(both.changes[n].new), bits(everything.changes[n].new)) for n in everything.changes)


def test_one_patch_composed_is_itself(stack: Stack, tmp_path: Path) -> None:
    compose_patches(stack.paths[:1], tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == stack.paths[0].read_bytes()


def test_the_metadata_names_the_parts(stack: Stack, tmp_path: Path) -> None:
    compose_patches(stack.paths, tmp_path / "out")
    first, last, out = (Patch.load(path) for path in (stack.paths[0], stack.paths[-1], tmp_path / "out"))
    assert out.meta.base.whole == first.meta.base.whole == fingerprint(stack.base).whole
    assert (out.meta.parent, out.meta.task) == (first.meta.parent, last.meta.task)
    assert out.meta.hashes["3.patch"] == last.digest
    assert out.meta.hashes["2.data"] == f"{1:064}"


def test_a_temperature_is_of_the_last_patch_or_of_none(stack: Stack, tmp_path: Path) -> None:
    compose_patches(stack.paths, tmp_path / "out")
    assert Patch.load(tmp_path / "out").meta.task["temperature"] == 1.5
    last = Patch.load(stack.paths[-1])
    replace(last, meta=last.meta.model_copy(update={"task": {}})).save(tmp_path / "last")
    compose_patches([*stack.paths[:-1], tmp_path / "last"], tmp_path / "without")
    assert Patch.load(tmp_path / "without").meta.task == {"task": "classification", "place": 1}


def test_what_comes_back_to_the_base_leaves(tmp_path: Path) -> None:
    here = tmp_path / "state"
    here.mkdir()
    paths, values = [], [torch.tensor([0.0, 1.0, torch.nan]), torch.tensor([-0.0, 2.0, 5.0])]
    values += [torch.tensor([0.0, 1.0, torch.nan])]
    save_file({"w": values[0]}, here / "model.safetensors")
    for place, (old, new) in enumerate(itertools.pairwise(values)):
        delta = Delta(torch.arange(3), old, new)
        patch = Patch.capture({"w": delta}, {"w": "w"}, fingerprint(here), here)
        patch.save(tmp_path / str(place))
        save_file({"w": new}, here / "model.safetensors")
        paths.append(tmp_path / str(place))
    done = compose_patches(paths, tmp_path / "none")
    assert (done.weights, done.listed, done.returned) == (0, 6, 3)
    # A third made on what is the base again stands on the first two.
    again = Patch.capture(
        {"w": Delta(torch.tensor([1]), values[0][1:2], torch.ones(1) * 7)}, {"w": "w"}, fingerprint(here), here
    )
    again.save(tmp_path / "2")
    assert compose_patches([*paths, tmp_path / "2"], tmp_path / "one").weights == 1


def test_what_is_no_stack_is_refused_with_patch_and_tensor(stack: Stack, tmp_path: Path) -> None:
    def refuse(fault: str, *paths: Path, base: Path | None = None, kind: type[ZoganError] = IntegrityError) -> None:
        with pytest.raises(kind, match=fault):
            compose_patches(paths, tmp_path / "out", base=base)
        assert not (tmp_path / "out").exists()
        assert not list(tmp_path.glob(".*"))

    one, two, three = stack.paths
    make_patch(stack.base, seed=9).save(tmp_path / "rival")
    refuse(
        r"rival: was made on the same base as .*01.safetensors, not on its result: they compete",
        one,
        tmp_path / "rival",
    )
    refuse("03.safetensors: was made on another tensor '.*' than those below it leave", one, three)
    refuse("01.safetensors: was made on another tensor", two, one)
    other = make_base(tmp_path / "other", seed=4)
    make_patch(other).save(tmp_path / "foreign")
    refuse("foreign: belongs to base .*, the lowest to", one, tmp_path / "foreign")
    refuse("01.safetensors: belongs to base .*, the folder is base", one, two, base=other)
    refuse("0 patches are given", kind=ZoganError)
    refuse("01.safetensors: was made on the same base as .*01.safetensors, .*: they compete", one, one)
    (tmp_path / "there").write_bytes(b"mine")
    with pytest.raises(ZoganError, match="there: exists already"):
        compose_patches(stack.paths, tmp_path / "there")
    with pytest.raises(ZoganError, match="no such folder"):
        compose_patches(stack.paths, tmp_path / "nowhere" / "out")


def test_the_base_shows_what_the_patches_do_not_know(tmp_path: Path) -> None:
    """The upper patch was made beside a change in a tensor that neither lists: only the folder tells."""
    base = make_base(tmp_path / "base", shapes={"a": (4,), "b": (4,), "c": (4,)})
    tensors = {name: value.clone() for name, value in load_file(base / "model.safetensors").items()}
    one = torch.tensor([0])

    def patch(name: str, path: str) -> Path:
        delta = Delta(one, tensors[name][:1], torch.ones(1) * 3)
        Patch.capture({name: delta}, {name: name}, fingerprint(tmp_path / "state"), tmp_path / "state").save(
            tmp_path / path
        )
        tensors[name][0] = 3
        save_file(tensors, tmp_path / "state" / "model.safetensors")
        return tmp_path / path

    (tmp_path / "state").mkdir()
    save_file(tensors, tmp_path / "state" / "model.safetensors")
    lower = patch("a", "lower")
    tensors["c"][1] = 9
    save_file(tensors, tmp_path / "state" / "model.safetensors")
    upper = patch("b", "upper")
    assert compose_patches([lower, upper], tmp_path / "unproved").proved is False
    with pytest.raises(
        IntegrityError, match=r"upper: belongs to base .*, which those below it do not make of the folder"
    ):
        compose_patches([lower, upper], tmp_path / "out", base=base)


def test_a_patch_may_come_again_once_it_was_undone(tmp_path: Path) -> None:
    save = [torch.tensor([1.0, 2.0]), torch.tensor([5.0, 2.0])]
    (tmp_path / "state").mkdir()
    for place in (0, 1):
        save_file({"w": save[place]}, tmp_path / "state" / "model.safetensors")
        delta = Delta(torch.arange(2), save[place], save[1 - place])
        patch = Patch.capture({"w": delta}, {"w": "w"}, fingerprint(tmp_path / "state"), tmp_path / "state")
        patch.save(tmp_path / str(place))
    there, back = tmp_path / "0", tmp_path / "1"
    compose_patches([there, back, there], tmp_path / "out")
    assert Patch.load(tmp_path / "out").changes["w"].new.tolist() == [5.0]
