"""A folder that patches are proved against."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tiny_patch import SHAPES, make_base
from zogan.errors import IntegrityError, RunError, ZoganError
from zogan.patch.disk import locked
from zogan.patch.source import Source
from zogan.progress import Silent
from zogan.weights import fingerprint


def test_what_it_knows(tmp_path: Path) -> None:
    folder = make_base(tmp_path / "base", shards=2)
    source = Source.open(folder, Silent())
    assert (source.whole, source.digests) == (fingerprint(folder).whole, fingerprint(folder).tensors)
    assert source.weights == sum(torch.empty(shape).numel() for shape in SHAPES.values())
    assert source.read("scale").shape == ()


def test_refused(tmp_path: Path) -> None:
    folder = make_base(tmp_path / "base")
    source = Source.open(folder, Silent())
    assert source.fitting("scale", "F32", (), tmp_path / "p") == source.infos["scale"]
    with pytest.raises(IntegrityError, match=r"tensor 'gone': is not in the folder, and .*p changes it"):
        source.fitting("gone", "F32", (), tmp_path / "p")
    with pytest.raises(IntegrityError, match=r"tensor 'scale': is F32 \[\], .*p is for F16 \[2\]"):
        source.fitting("scale", "F16", (2,), tmp_path / "p")
    with pytest.raises(ZoganError, match="no such folder"):
        Source.open(tmp_path / "none", Silent())
    with locked(folder), pytest.raises(RunError, match="another zogan command is at work"):
        Source.open(folder, Silent())
