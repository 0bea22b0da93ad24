"""Written tensor by tensor, a patch is the same file as written whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from tiny_patch import make_base, make_patch
from zogan.errors import RunError, ZoganError
from zogan.patch import stream
from zogan.patch.patch import Patch
from zogan.patch.stream import PatchWriter, writing


def given(writer: PatchWriter, patch: Patch, *, backwards: bool = False) -> None:
    for name in sorted(patch.changes, reverse=backwards):
        writer.add(name, patch.changes[name])
    for prefix, tensors in (("tensor", patch.tensors), ("adapter", patch.adapters)):
        for name in sorted(tensors, reverse=backwards):
            writer.add_whole(prefix, name, tensors[name])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("density", [0.0, 0.3])
def test_the_bytes_are_those_of_saving(tmp_path: Path, dtype: torch.dtype, density: float) -> None:
    patch = make_patch(make_base(tmp_path / "base", dtype), density, head=True, adapter=True)
    patch.save(tmp_path / "saved")
    for backwards in (False, True):
        with writing(tmp_path / str(backwards)) as writer:
            given(writer, patch, backwards=backwards)
            assert writer.finish(patch.meta) == patch.digest
        assert (tmp_path / str(backwards)).read_bytes() == (tmp_path / "saved").read_bytes()


def test_a_large_tensor_goes_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_CHUNK", 7)
    patch = make_patch(make_base(tmp_path / "base"), 0.5)
    with writing(tmp_path / "p") as writer:
        given(writer, patch)
        writer.finish(patch.meta)
    assert Patch.load(tmp_path / "p").digest == patch.digest


def write(patch: Patch, path: Path) -> None:
    with writing(path) as writer:
        given(writer, patch)
        writer.finish(patch.meta)


def test_what_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patch = make_patch(make_base(tmp_path / "base"))

    def fail(_: int) -> None:
        raise OSError("no")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="no"):
            write(patch, tmp_path / "p")
    monkeypatch.setattr(stream, "_SLACK", 2**62)
    with pytest.raises(RunError, match="too little disk"):
        write(patch, tmp_path / "p")
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(b"mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("p", "link"):
        with pytest.raises(ZoganError, match="exists already"), writing(tmp_path / name):
            pass
    with pytest.raises(ZoganError, match="no such folder"), writing(tmp_path / "no" / "p"):
        pass
