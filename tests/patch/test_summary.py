"""What `zogan patch show` shows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import zogan.patch
from tiny_patch import make_base, make_patch
from zogan.patch.patch import Patch
from zogan.patch.summary import PatchSummary, describe
from zogan.sparse.attach import Delta
from zogan.weights import fingerprint


def test_describe(tmp_path: Path) -> None:
    patch = make_patch(make_base(tmp_path, torch.bfloat16), head=True, adapter=True)
    patch.save(tmp_path / "p")
    summary = describe(tmp_path / "p")
    assert (summary.digest, summary.file_bytes, summary.density) == (patch.digest, patch.nbytes, patch.density)
    assert [tensor.name for tensor in summary.changes] == sorted(patch.changes)
    assert [(tensor.name, tensor.shape) for tensor in summary.tensors] == [("head.bias", (2,)), ("head.weight", (2, 8))]
    assert summary.adapters[0].dtype == "F32"
    assert summary.task["labels"] == ["良い", "bad"]
    assert PatchSummary.model_validate_json(summary.model_dump_json()) == summary


def test_the_largest_change(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(3), "b": torch.zeros(1), "c": torch.zeros(1).int()}, tmp_path / "model.safetensors")
    deltas = {
        "a": Delta(torch.tensor([0, 2]), torch.zeros(2), torch.tensor([0.5, -2.0])),
        "b": Delta(torch.tensor([0]), torch.zeros(1), torch.tensor([torch.nan])),
        "c": Delta(torch.tensor([0]), torch.zeros(1).int(), torch.ones(1).int()),
    }
    Patch.capture(deltas, {name: name for name in deltas}, fingerprint(tmp_path), tmp_path).save(tmp_path / "p")
    assert [tensor.largest_change for tensor in describe(tmp_path / "p").changes] == [2.0, None, None]


def test_the_packages_names_come_when_asked_for() -> None:
    for _ in range(2):  # a module of the same name would take its place the second time
        assert all(callable(getattr(zogan.patch, name)) for name in zogan.patch.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        zogan.patch.nothing  # noqa: B018
