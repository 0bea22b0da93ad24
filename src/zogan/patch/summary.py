"""What a patch file holds, for people and machines, without a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from zogan.patch.format import PatchFile
from zogan.weights import TensorInfo


class TensorSummary(BaseModel):
    """One tensor. `changed` of its `weights` are listed; a new tensor is whole."""

    model_config = ConfigDict(frozen=True)

    name: str
    dtype: str
    shape: tuple[int, ...]
    weights: int
    changed: int
    largest_change: float | None


class PatchSummary(BaseModel):
    """The content of a patch file. Digests are SHA-256 in hex; `density` is a share, 0 to 1, of the base's weights."""

    model_config = ConfigDict(frozen=True)

    path: Path
    format: int
    digest: str
    file_bytes: int
    base: str
    base_weights: int
    changed: int
    density: float
    changes: tuple[TensorSummary, ...]
    tensors: tuple[TensorSummary, ...]
    adapters: tuple[TensorSummary, ...]
    adapter: dict[str, Any] | None
    task: dict[str, Any]
    tools: dict[str, str]
    hashes: dict[str, str]
    parent: str | None


def describe(path: Path) -> PatchSummary:
    """Read a patch file, prove all of it, and say what is in it; one tensor is in memory at a time.

    Raises:
        ZoganError: no such file.
        IntegrityError: damaged or hostile.
    """
    file = PatchFile.open(path)
    changes = tuple(_changed(file, name) for name in file.names)
    changed = sum(tensor.changed for tensor in changes)
    weights = file.meta.base.weights
    return PatchSummary(
        path=path,
        format=file.meta.format,
        digest=file.digest,
        file_bytes=path.stat().st_size,
        base=file.meta.base.whole,
        base_weights=weights,
        changed=changed,
        density=changed / weights if weights else 0.0,
        changes=changes,
        tensors=_whole(file, "tensor/"),
        adapters=_whole(file, "adapter/"),
        adapter=file.meta.adapter,
        task=file.meta.task,
        tools=file.meta.tools,
        hashes=file.meta.hashes,
        parent=file.meta.parent,
    )


def _changed(file: PatchFile, name: str) -> TensorSummary:
    change = file.change(name)
    largest = None
    if change.old.dtype.is_floating_point:
        difference = (change.new.double() - change.old.double()).abs().max().item()
        # NaN and infinity have no JSON.
        largest = difference if difference < float("inf") else None
    return TensorSummary(
        name=name,
        dtype=change.dtype,
        shape=change.shape,
        weights=change.numel,
        changed=len(change.positions),
        largest_change=largest,
    )


def _whole(file: PatchFile, prefix: str) -> tuple[TensorSummary, ...]:
    def summary(key: str, info: TensorInfo) -> TensorSummary:
        name = key.removeprefix(prefix)
        return TensorSummary(
            name=name, dtype=info.dtype, shape=info.shape, weights=info.numel, changed=info.numel, largest_change=None
        )

    return tuple(summary(key, info) for key, info in sorted(file.infos.items()) if key.startswith(prefix))
