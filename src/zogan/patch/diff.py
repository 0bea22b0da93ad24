"""Two patches held side by side: where they change weights, how far apart they are, and what else differs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float64
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from zogan.patch.change import Change, bits
from zogan.patch.format import PatchFile
from zogan.patch.stack import Relation, layer_of, relation
from zogan.progress import Progress, Silent
from zogan.weights import TensorInfo, read_tensor


class Difference(BaseModel):
    """Counts of positions, bytes in the files, and Euclidean norms of what is added to the weights.

    Attributes:
        name: the tensor's, or the layer's.
        only_a: positions that A alone changes.
        only_b: and B alone.
        both: positions that both change.
        differ: those of them at which the new values differ in any bit.
        bytes_a: of positions and values in A's file.
        bytes_b: and in B's.
        norm_a: of A's change, new minus old; null where a value is infinite or NaN.
        norm_b: of B's.
        norm_difference: of the one minus the other, a position that a patch does not list counted as no change.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    only_a: int
    only_b: int
    both: int
    differ: int
    bytes_a: int
    bytes_b: int
    norm_a: float | None
    norm_b: float | None
    norm_difference: float | None


class WholeDifference(BaseModel):
    """A new tensor or an adapter's. `state` is "only a", "only b", "same" or "differs"; `largest` is the greatest
    distance between two values, null where shapes or dtypes differ or a value is infinite or NaN."""

    model_config = ConfigDict(frozen=True)

    name: str
    state: str
    a: str | None
    b: str | None
    largest: float | None


class MetaDifference(BaseModel):
    """A key of the metadata, such as `hashes.data`, with both values; null where it is absent."""

    model_config = ConfigDict(frozen=True)

    key: str
    a: Any
    b: Any


class PatchDifference(BaseModel):
    """All that differs between two patches. `relation` says how B stands to A: made on its result ("stack"), on the
    same base ("competes"), or on neither."""

    model_config = ConfigDict(frozen=True)

    a: str
    b: str
    relation: Relation
    total: Difference
    layers: tuple[Difference, ...]
    changes: tuple[Difference, ...]
    tensors: tuple[WholeDifference, ...]
    adapters: tuple[WholeDifference, ...]
    metadata: tuple[MetaDifference, ...]


def diff_patches(a: Path, b: Path, *, progress: Progress | None = None) -> PatchDifference:
    """Hold two patches side by side; one tensor of each is in memory at a time.

    Args:
        a: a patch file.
        b: the other.
        progress: told of entries.

    Raises:
        ZoganError: no such file.
        IntegrityError: a damaged patch.
    """
    progress = progress or Silent()
    files = PatchFile.open(a), PatchFile.open(b)
    names = sorted({name for file in files for name in file.names})
    progress.start("diff", len(names))
    changes = []
    for count, name in enumerate(names, start=1):
        changes.append(_tensor(files, name))
        progress.advance(count)
    layers: dict[str, list[Difference]] = {}
    for one in changes:
        layers.setdefault(layer_of(one.name), []).append(one)
    return PatchDifference(
        a=files[0].digest,
        b=files[1].digest,
        relation=relation(files, 1),
        total=_sum("all", changes),
        layers=tuple(_sum(layer, found) for layer, found in layers.items()),
        changes=tuple(changes),
        tensors=_wholes(files, "tensor/"),
        adapters=_wholes(files, "adapter/"),
        metadata=_metadata(files),
    )


def _tensor(files: tuple[PatchFile, PatchFile], name: str) -> Difference:
    a, b = (file.change(name) if name in file.meta.after else None for file in files)
    bytes_a, bytes_b = (_bytes(file, name) for file in files)
    added = [_added(change) if change is not None else torch.zeros(0).double() for change in (a, b)]
    in_a, in_b = (torch.zeros(len(values), dtype=torch.bool) for values in added)  # whether the other lists it too
    differ, apart = 0, torch.cat(added)
    # Positions in tensors of unlike shapes are not the same positions.
    if a is not None and b is not None and (a.dtype, a.shape) == (b.dtype, b.shape):
        in_a = torch.isin(a.positions, b.positions, assume_unique=True)
        in_b = torch.isin(b.positions, a.positions, assume_unique=True)
        differ = int((bits(a.new)[in_a] != bits(b.new)[in_b]).sum())
        apart = torch.cat([added[0][~in_a], added[1][~in_b], added[0][in_a] - added[1][in_b]])
    return Difference(
        name=name,
        only_a=int((~in_a).sum()),
        only_b=int((~in_b).sum()),
        both=int(in_a.sum()),
        differ=differ,
        bytes_a=bytes_a,
        bytes_b=bytes_b,
        norm_a=_norm(added[0]),
        norm_b=_norm(added[1]),
        norm_difference=_norm(apart),
    )


def _added(change: Change) -> Float64[Tensor, " n"]:
    return change.new.double() - change.old.double()


def _norm(values: Float64[Tensor, " n"]) -> float | None:
    found = float(torch.linalg.vector_norm(values)) if len(values) else 0.0
    # NaN and infinity have no JSON.
    return found if math.isfinite(found) else None


def _joint(norms: list[float | None]) -> float | None:
    """The norm over several tensors, from the norm of each."""
    return None if None in norms else math.hypot(*(norm for norm in norms if norm is not None))


def _bytes(file: PatchFile, name: str) -> int:
    keys = (f"{part}/{name}" for part in ("positions", "old", "new"))
    return sum(file.infos[key].nbytes for key in keys if key in file.infos)


def _sum(name: str, found: list[Difference]) -> Difference:
    return Difference(
        name=name,
        only_a=sum(one.only_a for one in found),
        only_b=sum(one.only_b for one in found),
        both=sum(one.both for one in found),
        differ=sum(one.differ for one in found),
        bytes_a=sum(one.bytes_a for one in found),
        bytes_b=sum(one.bytes_b for one in found),
        norm_a=_joint([one.norm_a for one in found]),
        norm_b=_joint([one.norm_b for one in found]),
        norm_difference=_joint([one.norm_difference for one in found]),
    )


def _wholes(files: tuple[PatchFile, PatchFile], prefix: str) -> tuple[WholeDifference, ...]:
    keys = sorted({key for file in files for key in file.infos if key.startswith(prefix)})
    return tuple(_whole(key.removeprefix(prefix), *(file.infos.get(key) for file in files)) for key in keys)


def _whole(name: str, a: TensorInfo | None, b: TensorInfo | None) -> WholeDifference:
    made = [f"{info.dtype} {list(info.shape)}" if info is not None else None for info in (a, b)]
    state, largest = "only b" if a is None else "only a", None
    if a is not None and b is not None:
        state = "differs"
        if made[0] == made[1]:
            left, right = read_tensor(a), read_tensor(b)
            if torch.equal(bits(left), bits(right)):
                state = "same"
            distance = float((left.double() - right.double()).abs().max())
            largest = 0.0 if state == "same" else distance if math.isfinite(distance) else None
    return WholeDifference(name=name, state=state, a=made[0], b=made[1], largest=largest)


def _metadata(files: tuple[PatchFile, PatchFile]) -> tuple[MetaDifference, ...]:
    """Keys whose values differ; those that follow from the tensors are left out."""
    left, right = (_flat(json.loads(file.meta.dumps()), "") for file in files)
    keys = sorted(key for key in left.keys() | right.keys() if left.get(key) != right.get(key))
    derived = ("after.", "shapes.", "base.tensors.")
    return tuple(
        MetaDifference(key=key, a=left.get(key), b=right.get(key)) for key in keys if not key.startswith(derived)
    )


def _flat(tree: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Nested mappings as one: `task.labels`."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found
