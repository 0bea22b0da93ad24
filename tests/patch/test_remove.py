"""One patch out of a stack: what is left is the stack without it, bit for bit."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tiny_patch import make_base
from tiny_stack import DTYPES, Stack, applied, folder_of, make_stack, same
from zogan.errors import IntegrityError, ZoganError
from zogan.patch.change import bits
from zogan.patch.compose import compose_patches
from zogan.patch.folder import apply_folder
from zogan.patch.patch import Patch
from zogan.patch.remove import remove_patch


@pytest.fixture
def apart(tmp_path: Path) -> Stack:
    return make_stack(tmp_path, 4, density=0.15, apart=True, heads=True, seed=3)


@settings(max_examples=8, deadline=None)
@given(
    dtype=st.sampled_from(DTYPES),
    count=st.integers(1, 20),
    data=st.data(),
    seed=st.integers(0, 10**6),
    heads=st.booleans(),
)
def test_the_rest_is_the_stack_without_it(
    dtype: torch.dtype, count: int, data: st.DataObject, seed: int, heads: bool
) -> None:
    out = data.draw(st.integers(1, count))
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        stack = make_stack(root, count, dtype=dtype, seed=seed, density=2 / count, apart=True, heads=heads)
        done = remove_patch(stack.paths, out, root / "rest", base=stack.base)
        assert done.stack[: out - 1] == tuple(stack.paths[: out - 1])
        assert len(done.stack) == count - 1
        wanted = stack.states[0]
        for place, path in enumerate(stack.paths, start=1):
            if place != out:
                # No two share a position, so that each patch's values go on whatever lies below.
                wanted = applied(wanted, path)
        state = stack.states[0]
        for path in done.stack:
            state = applied(state, path)
        assert same(state, wanted)
        # With the base at hand, composing proves every digest that was taken anew.
        if done.stack:
            compose_patches(done.stack, root / "all", base=stack.base)
            assert same(applied(stack.states[0], root / "all"), wanted)


def test_values_stay_and_digests_move(apart: Stack, tmp_path: Path) -> None:
    done = remove_patch(apart.paths, 2, tmp_path / "rest", base=apart.base)
    assert [one.path.name for one in done.rewritten] == ["3-03.safetensors", "4-04.safetensors"]
    assert list(done.stack) == [apart.paths[0], *(one.path for one in done.rewritten)]
    below = Patch.load(apart.paths[0]).digest
    for was, one in zip(apart.paths[2:], done.rewritten, strict=True):
        before, now = Patch.load(was), Patch.load(one.path)
        assert (now.digest, now.meta.base.whole, before.digest) == (one.patch, one.base, one.was)
        assert now.meta.hashes == before.meta.hashes | {"rewritten": before.digest}
        assert (now.meta.task | {"temperature": 1.5}, now.meta.parent) == (before.meta.task, below)
        assert "temperature" not in now.meta.task
        for name, change in before.changes.items():
            assert torch.equal(now.changes[name].positions, change.positions)
            assert torch.equal(bits(now.changes[name].new), bits(change.new))
        assert now.tensors.keys() == before.tensors.keys()
        below = now.digest


def test_the_rewritten_patch_goes_onto_a_folder(apart: Stack, tmp_path: Path) -> None:
    done = remove_patch(apart.paths, 1, tmp_path / "rest", base=apart.base)
    apply_folder(done.stack[0], apart.base, tmp_path / "tuned")


def test_the_last_one_goes_without_a_base(apart: Stack, tmp_path: Path) -> None:
    done = remove_patch(apart.paths, 4, tmp_path / "rest")
    assert (done.rewritten, list(done.stack)) == ((), apart.paths[:3])
    assert not (tmp_path / "rest").exists()
    assert done.tensors == tuple(sorted(f"tensor/{name}" for name in apart.heads[3]))


def test_shared_positions_are_listed_by_tensor(tmp_path: Path) -> None:
    stack = make_stack(tmp_path, 2, density=1.0, seed=8)
    low, high = (Patch.load(path) for path in stack.paths)
    name = "layers.1.q.weight"
    shared = sorted(set(low.changes[name].positions.tolist()) & set(high.changes[name].positions.tolist()))
    total = sum(
        len(set(low.changes[n].positions.tolist()) & set(high.changes[n].positions.tolist()))
        for n in low.changes.keys() & high.changes.keys()
    )
    first = ", ".join(map(str, shared[:5]))
    told = rf"patch 1: patches above it change {total} .*{name} \({len(shared)}: {first}.*zogan patch rebase"
    with pytest.raises(ZoganError, match=told):
        remove_patch(stack.paths, 1, tmp_path / "rest", base=stack.base)
    assert not (tmp_path / "rest").exists()


def test_refused(apart: Stack, tmp_path: Path) -> None:
    def refuse(fault: str, out: int = 2, base: Path | None = apart.base, kind: type[ZoganError] = ZoganError) -> None:
        with pytest.raises(kind, match=fault):
            remove_patch(apart.paths, out, tmp_path / "rest", base=base)
        assert not (tmp_path / "rest").exists()
        assert not list(tmp_path.glob(".*"))

    refuse("there is no patch 5 in a stack of 4. The lowest is 1", out=5)
    refuse("there is no patch 0", out=0)
    refuse("2 patches stand above it, whose digests must be taken anew, and no base is given", base=None)
    refuse("no such folder", base=tmp_path / "nowhere")
    refuse("the folder is base", base=make_base(tmp_path / "other"), kind=IntegrityError)
    refuse("the folder is base", base=folder_of(apart.states[2], tmp_path / "tuned"), kind=IntegrityError)
    (tmp_path / "full").mkdir()
    with pytest.raises(ZoganError, match="full: exists already"):
        remove_patch(apart.paths, 2, tmp_path / "full", base=apart.base)


def test_what_a_killed_command_left_is_cleared(apart: Stack, tmp_path: Path) -> None:
    (tmp_path / ".rest.zogan-part").mkdir()
    (tmp_path / ".rest.zogan-part" / "junk").write_bytes(b"junk")
    remove_patch(apart.paths, 2, tmp_path / "rest", base=apart.base)
    assert sorted(path.name for path in (tmp_path / "rest").iterdir()) == ["3-03.safetensors", "4-04.safetensors"]
    assert not list(tmp_path.glob(".*"))
