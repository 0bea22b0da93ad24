"""Apply and revert on folders give every byte back, or refuse and touch nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from tiny_patch import SHAPES, make_base, make_patch, snapshot
from tiny_stack import Stack, make_stack, same
from zogan.errors import IntegrityError, RunError, ZoganError
from zogan.patch.compose import compose_patches
from zogan.patch.folder import apply_folder, revert_folder
from zogan.patch.patch import Patch
from zogan.weights import fingerprint

DTYPES = st.sampled_from([torch.float32, torch.bfloat16, torch.float16])


@settings(max_examples=30, deadline=None)
@given(
    dtype=DTYPES,
    shapes=st.dictionaries(
        st.text("abc.", min_size=1, max_size=8).filter(lambda name: ".." not in name and name[0] != "."),
        st.lists(st.integers(1, 9), max_size=3).map(tuple),
        min_size=1,
        max_size=5,
    ),
    shards=st.integers(1, 3),
    density=st.sampled_from([0.0, 0.005, 0.3, 1.0]),
    head=st.booleans(),
    adapter=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_apply_then_revert_gives_every_byte_back(
    dtype: torch.dtype,
    shapes: dict[str, tuple[int, ...]],
    shards: int,
    density: float,
    head: bool,
    adapter: bool,
    seed: int,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        base = make_base(root / "base", dtype, shapes, shards=min(shards, len(shapes)), seed=seed)
        before = snapshot(base)
        patch = make_patch(base, density, seed=seed + 1, head=head, adapter=adapter)
        patch.save(root / "p.safetensors")

        result = apply_folder(root / "p.safetensors", base, root / "tuned")
        assert snapshot(base) == before
        assert result.weights == patch.count
        tuned = snapshot(root / "tuned")
        assert ("zogan.safetensors" in tuned, "adapter/adapter_config.json" in tuned) == (head, adapter)
        assert "zogan.json" in tuned
        found = fingerprint(root / "tuned").tensors
        assert found == fingerprint(base).tensors | patch.meta.after

        apply_folder(root / "p.safetensors", base, in_place=True)
        assert snapshot(base) == tuned
        revert_folder(root / "p.safetensors", base, in_place=True)
        assert snapshot(base) == before
        revert_folder(root / "p.safetensors", root / "tuned", root / "back")
        assert snapshot(root / "back") == before
        assert snapshot(root / "tuned") == tuned


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return make_base(tmp_path / "base", shards=2)


@pytest.fixture
def patch(base: Path, tmp_path: Path) -> Path:
    path = tmp_path / "p.safetensors"
    make_patch(base, head=True, adapter=True).save(path)
    return path


def refused(patch: Path, folder: Path, kind: type[ZoganError], match: str, *, revert: bool = False) -> None:
    """Both ways refuse, and neither changes a byte or leaves a file."""
    act = revert_folder if revert else apply_folder
    before, around = snapshot(folder), sorted(folder.parent.iterdir())
    with pytest.raises(kind, match=match):
        act(patch, folder, folder.parent / "new")
    with pytest.raises(kind, match=match):
        act(patch, folder, in_place=True)
    assert snapshot(folder) == before
    assert sorted(folder.parent.iterdir()) == around


def test_new_tensors_and_adapters_are_plain_safetensors(base: Path, patch: Path, tmp_path: Path) -> None:
    apply_folder(patch, base, tmp_path / "tuned")
    head = load_file(tmp_path / "tuned" / "zogan.safetensors")
    assert torch.equal(head["head.weight"], torch.ones(2, 8))
    assert list(load_file(tmp_path / "tuned/adapter/adapter_model.safetensors")) == ["base_model.model.q.lora_A.weight"]


def test_another_base_is_refused_by_the_tensors_name(patch: Path, tmp_path: Path) -> None:
    other = make_base(tmp_path / "other", shards=2, seed=9)
    refused(
        patch, other, IntegrityError, r"tensor 'embeddings.weight': base differs. This patch belongs to base \w{12}"
    )


def test_one_changed_bit_is_refused(base: Path, patch: Path) -> None:
    file = base / "model-00001-of-00002.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    refused(patch, base, IntegrityError, "base differs")


def test_a_base_that_differs_where_nothing_changes_is_refused(base: Path, tmp_path: Path) -> None:
    whole = Patch.load(_saved(base, tmp_path))
    assert "scale" not in whole.changes  # 10 % of one weight is none
    content = (base / "model-00002-of-00002.safetensors").read_bytes()
    (base / "model-00002-of-00002.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refused(tmp_path / "whole", base, IntegrityError, "by a tensor that the patch does not change")


def _saved(base: Path, tmp_path: Path) -> Path:
    make_patch(base).save(tmp_path / "whole")
    return tmp_path / "whole"


@pytest.mark.parametrize("shapes", [{"other.weight": (50, 8)}, {**SHAPES, "embeddings.weight": (8, 50)}])
def test_a_base_of_another_make_is_refused(patch: Path, tmp_path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    other = make_base(tmp_path / "other", shapes=shapes)
    refused(patch, other, IntegrityError, "embeddings.weight'?: is (not in the base|F32)")


def test_another_dtype_is_refused(patch: Path, tmp_path: Path) -> None:
    refused(patch, make_base(tmp_path / "other", torch.bfloat16), IntegrityError, "is BF16 .* the patch is for F32")


@pytest.mark.parametrize("head_only", [False, True])
def test_what_is_done_already_is_said(base: Path, tmp_path: Path, head_only: bool) -> None:
    patch = tmp_path / "p.safetensors"
    make_patch(base, 0.0 if head_only else 0.1, head=True).save(patch)
    refused(patch, base, ZoganError, "is not applied here", revert=True)
    apply_folder(patch, base, in_place=True)
    refused(patch, base, ZoganError, "is applied here already")
    (base / "zogan.json").rename(tmp_path / "note")
    refused(patch, base, ZoganError, "zogan.safetensors: is in the way")
    (base / "zogan.safetensors").unlink()
    refused(patch, base, ZoganError, "not applied here" if head_only else "applied here already", revert=head_only)


def test_a_folder_modified_since_is_refused_by_name(base: Path, patch: Path) -> None:
    apply_folder(patch, base, in_place=True)
    file = base / "model-00001-of-00002.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refused(patch, base, IntegrityError, "tensor 'layer.0.dense.weight': was changed since", revert=True)
    file.write_bytes(content)
    (base / "zogan.safetensors").write_bytes(b"mine")
    refused(patch, base, IntegrityError, "zogan.safetensors: was changed since", revert=True)


def test_a_folder_that_is_half_tuned_is_refused(base: Path, patch: Path, tmp_path: Path) -> None:
    apply_folder(patch, base, tmp_path / "tuned")
    shard = "model-00001-of-00002.safetensors"
    shutil.copy(tmp_path / "tuned" / shard, base / shard)
    refused(patch, base, IntegrityError, "holds patch .* in part")
    refused(patch, base, IntegrityError, "holds patch .* in part", revert=True)


def test_a_second_patch_is_refused(base: Path, patch: Path, tmp_path: Path) -> None:
    make_patch(base, seed=77).save(tmp_path / "second")
    apply_folder(patch, base, in_place=True)
    told = "another patch .* is applied here, and this one was not made on its result: .* Revert that one first"
    refused(tmp_path / "second", base, ZoganError, told)
    refused(
        tmp_path / "second", base, ZoganError, "another patch .* is applied here. Revert with its file", revert=True
    )


def test_links_are_refused_in_place_and_read_through_otherwise(base: Path, patch: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    shutil.copytree(base, linked)
    shard = "model-00001-of-00002.safetensors"
    (linked / shard).unlink()
    (linked / shard).symlink_to(base / shard)
    with pytest.raises(RunError, match=r"is a link to a file elsewhere.*Write a new folder"):
        apply_folder(patch, linked, in_place=True)
    apply_folder(patch, linked, tmp_path / "tuned")
    assert not (tmp_path / "tuned" / shard).is_symlink()
    (linked / shard).unlink()
    os.link(base / shard, linked / shard)
    with pytest.raises(RunError, match=r"has 2 names \(hard links\).*Write a new folder"):
        apply_folder(patch, linked, in_place=True)
    (linked / "loop").symlink_to(linked)
    with pytest.raises(RunError, match="link to a folder"):
        apply_folder(patch, linked, tmp_path / "again")
    (linked / "loop").unlink()
    (linked / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RunError, match="no file that can be copied"):
        apply_folder(patch, linked, tmp_path / "again")


def test_the_new_folder_must_be_new(base: Path, patch: Path, tmp_path: Path) -> None:
    for output, fault in (
        (base, "exists already"),
        (base / "inside", "lies within"),
        (tmp_path / "no" / "such", "no such folder"),
    ):
        with pytest.raises(ZoganError, match=fault):
            apply_folder(patch, base, output)
    with pytest.raises(ZoganError, match="no such folder"):
        apply_folder(patch, tmp_path / "none", tmp_path / "new")
    with pytest.raises(ZoganError, match="no such file"):
        apply_folder(tmp_path / "none", base, tmp_path / "new")
    with pytest.raises(ZoganError, match="either a new folder or in-place"):
        apply_folder(patch, base)
    with pytest.raises(ZoganError, match="either a new folder or in-place"):
        apply_folder(patch, base, tmp_path / "new", in_place=True)


def test_what_a_killed_copy_left_is_cleared(base: Path, patch: Path, tmp_path: Path) -> None:
    left = tmp_path / ".new.zogan-part"
    (left / "deep").mkdir(parents=True)
    (left / "junk").write_bytes(b"junk")
    (tmp_path / "new").mkdir()  # an empty one is as good as none
    apply_folder(patch, base, tmp_path / "new")
    apply_folder(patch, base, tmp_path / "other")
    assert snapshot(tmp_path / "new") == snapshot(tmp_path / "other")
    assert not left.exists()


def test_a_full_disk_is_said_before_anything_is_written(
    base: Path, patch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
    refused(patch, base, RunError, "too little disk")


def test_a_copy_that_fails_leaves_nothing(base: Path, patch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(shutil, "copyfile", fail)
    before, around = snapshot(base), sorted(base.parent.iterdir())
    for output, in_place in ((base.parent / "new", False), (None, True)):
        with pytest.raises(OSError, match="no"):
            apply_folder(patch, base, output, in_place=in_place)
    assert (snapshot(base), sorted(base.parent.iterdir())) == (before, around)


def test_a_source_that_may_not_be_written_is_read(base: Path, patch: Path, tmp_path: Path) -> None:
    for path in (base, *base.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        apply_folder(patch, base, tmp_path / "new")
    finally:
        for path in (base, *base.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert os.access(tmp_path / "new" / "config.json", os.W_OK)


def test_no_right_to_write_is_said(base: Path, patch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(RunError, match="may not be written"):
        apply_folder(patch, base, in_place=True)


def test_a_stack_goes_on_and_off_in_turn(tmp_path: Path) -> None:
    stack = make_stack(tmp_path, 4, heads=True, seed=11)
    folder = stack.base
    kept = [snapshot(folder)]
    for path, state, place in zip(stack.paths, stack.states[1:], range(4), strict=True):
        apply_folder(path, folder, tmp_path / f"tuned{place}")
        apply_folder(path, folder, in_place=True)
        kept.append(snapshot(folder))
        assert snapshot(tmp_path / f"tuned{place}") == kept[-1]
        assert same(load_file(folder / "model.safetensors"), state)
        refused(path, folder, ZoganError, "is applied here already")
    brought = {name: tensor for head in stack.heads for name, tensor in head.items()}
    found = load_file(folder / "zogan.safetensors")
    assert found.keys() == brought.keys()
    assert all(torch.equal(found[name], brought[name]) for name in brought)
    compose_patches(stack.paths, tmp_path / "all")
    apply_folder(tmp_path / "all", stack_base(tmp_path, stack), tmp_path / "one")
    for name in ("model.safetensors", "zogan.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (folder / name).read_bytes()
    refused(stack.paths[0], folder, ZoganError, "another patch .* is applied here. Revert with its file", revert=True)
    for path, before in zip(reversed(stack.paths), reversed(kept[:-1]), strict=True):
        revert_folder(path, folder, tmp_path / f"back {path.name}")
        revert_folder(path, folder, in_place=True)
        assert snapshot(folder) == before == snapshot(tmp_path / f"back {path.name}")


def stack_base(root: Path, stack: Stack) -> Path:
    """The bare base again, in a folder of its own."""
    folder = root / "bare"
    shutil.copytree(stack.base, folder, ignore=shutil.ignore_patterns("zogan*"))
    save_file(stack.states[0], folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture
def piled(base: Path, patch: Path, tmp_path: Path) -> Path:
    """The file of a patch made on the result of another with head and adapter, which is applied in place."""
    apply_folder(patch, base, in_place=True)
    make_patch(base, seed=5).save(tmp_path / "upper")
    return tmp_path / "upper"


def test_an_upper_patch_keeps_the_adapter_below(base: Path, piled: Path) -> None:
    before = snapshot(base)
    apply_folder(piled, base, in_place=True)
    after = snapshot(base)
    for name in ("zogan.safetensors", "adapter/adapter_model.safetensors", "adapter/adapter_config.json"):
        assert after[name] == before[name] == after[f"zogan-below/1/{name}"]
    revert_folder(piled, base, in_place=True)
    assert snapshot(base) == before


def test_two_adapters_do_not_pile_up(base: Path, piled: Path, tmp_path: Path) -> None:
    make_patch(base, seed=6, adapter=True).save(tmp_path / "second adapter")
    refused(tmp_path / "second adapter", base, ZoganError, "adapters of another patch .* are here.*zogan patch compose")


def test_what_is_kept_below_is_guarded(base: Path, piled: Path) -> None:
    apply_folder(piled, base, in_place=True)
    (base / "zogan-below" / "mine").write_bytes(b"mine")
    refused(piled, base, IntegrityError, "zogan-below: is not what zogan put there", revert=True)
    (base / "zogan-below" / "mine").unlink()
    (base / "zogan.json").unlink()
    refused(piled, base, IntegrityError, "zogan.json: is gone", revert=True)
