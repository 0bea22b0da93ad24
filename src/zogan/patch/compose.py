"""Several patches, each made on the result of the one before, as one patch on the base of the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from zogan.errors import IntegrityError
from zogan.patch.adapters import joined
from zogan.patch.change import Change, bits, raw
from zogan.patch.format import PatchFile
from zogan.patch.meta import BaseMeta, PatchMeta, of_any_model
from zogan.patch.source import Source
from zogan.patch.stack import after, before, entries, open_stack, prove_entries, prove_stack, tensors_of
from zogan.patch.stream import PatchWriter, refuse_existing, writing
from zogan.progress import Progress, Silent
from zogan.weights import TensorInfo, read_tensor, tensor_digest


class Composed(BaseModel):
    """The patch that does what a stack does.

    Attributes:
        path: its file.
        patch: its digest, SHA-256 in hex.
        base: digest over all tensors of the base that it belongs to.
        parts: digests of the patches that it was made of, from the lowest up.
        proved: whether the base's folder was there to prove it whole.
        weights: that it changes.
        listed: entries of all parts together.
        returned: positions that the parts change and that end at the base's own value: not in it.
        tensors: names of new tensors and adapters in it.
    """

    model_config = ConfigDict(frozen=True)

    path: Path
    patch: str
    base: str
    parts: tuple[str, ...]
    proved: bool
    weights: int
    listed: int
    returned: int
    tensors: tuple[str, ...]


def compose_patches(
    patches: Sequence[Path], output: Path, *, base: Path | None = None, progress: Progress | None = None
) -> Composed:
    """Make one patch of a stack: applied to the base it leaves, bit for bit, what the stack leaves applied in turn.

    Positions that end at the base's own value leave the patch (bits are compared: -0.0 is not 0.0, and NaN is itself).
    Of a new tensor that several bring, the last one's stays. Memory holds the entries of one tensor at a time.

    Args:
        patches: files, from the lowest up: each was made on the result of those before.
        output: the file to write; must not exist.
        base: the folder that the first was made on. With it every tensor is proved against the folder, and the result
            is rehearsed; without it, against what the patches know of each other.
        progress: told of entries.

    Raises:
        ZoganError: no patches, adapters that cannot be put together, or `output` exists.
        IntegrityError: a damaged patch, or patches that are no stack; with patch, tensor and position.
    """
    progress = progress or Silent()
    refuse_existing(output)
    files = open_stack(patches)
    adapter = joined(files)
    folder = Source.open(base, progress) if base is not None else None
    prove_stack(files, folder.digests if folder else None)
    total = sum(file.infos[f"old/{name}"].numel for file in files for name in file.names)
    progress.start("compose", total)
    listed = weights = returned = 0
    shapes, ends = {}, after(files)
    with writing(output) as writer:
        for name in tensors_of(files):
            found = entries(files, name)
            prove_entries(files, name, found)
            change = found.merged()
            if folder is not None:
                _rehearse(folder, name, change, ends[name])
            if change is not None:
                writer.add(name, change)
                shapes[name] = change.shape
                weights += len(change.positions)
            positions = int((~found.again).sum())
            returned += positions - (len(change.positions) if change is not None else 0)
            listed += len(found.positions)
            progress.advance(listed)
        beside = _beside(files, writer)
        digest = writer.finish(_meta(files, shapes, adapter))
    return Composed(
        path=output,
        patch=digest,
        base=files[0].meta.base.whole,
        parts=tuple(file.digest for file in files),
        proved=folder is not None,
        weights=weights,
        listed=listed,
        returned=returned,
        tensors=tuple(beside),
    )


def _meta(
    files: Sequence[PatchFile], shapes: Mapping[str, tuple[int, ...]], adapter: dict[str, Any] | None
) -> PatchMeta:
    """The composed patch's: the base of the first, the use of the last, and every part with its hashes."""
    if len(files) == 1:
        return files[0].meta
    width = len(str(len(files)))
    hashes: dict[str, str] = {}
    tools: dict[str, str] = {}
    for place, file in enumerate(files, start=1):
        tools |= file.meta.tools
        part = f"{place:0{width}}"
        hashes[f"{part}.patch"] = file.digest
        hashes |= {f"{part}.{name}": value for name, value in file.meta.hashes.items()}
    first, begins, ends = files[0].meta, before(files), after(files)
    return PatchMeta(
        base=BaseMeta(
            whole=first.base.whole, weights=first.base.weights, tensors={name: begins[name] for name in shapes}
        ),
        shapes=dict(shapes),
        after={name: ends[name] for name in shapes},
        task=_task(files),
        tools=tools,
        hashes=hashes,
        parent=first.parent,
        adapter=adapter,
    )


def _task(files: Sequence[PatchFile]) -> dict[str, Any]:
    """The last one's; of one below it, without what was fitted before those above changed the model."""
    if files[-1].meta.task:
        return files[-1].meta.task
    return next((of_any_model(file.meta.task) for file in reversed(files) if file.meta.task), {})


def _beside(files: Sequence[PatchFile], writer: PatchWriter) -> list[str]:
    """Hand on what the parts store whole: of a name that several have, the last one's."""
    last: dict[str, TensorInfo] = {}
    for file in files:
        last |= {key: info for key, info in file.infos.items() if key.startswith(("tensor/", "adapter/"))}
    for key, info in sorted(last.items()):
        prefix, _, name = key.partition("/")
        writer.add_whole(prefix, name, read_tensor(info))
    return sorted(last)


def _rehearse(folder: Source, name: str, change: Change | None, end: str) -> None:
    """Do the composed change in memory: its old values stand in the base, and the stack's result comes of it."""
    info = folder.infos[name]
    tensor = folder.read(name).reshape(-1)  # (numel,)
    if change is not None:
        if (change.dtype, change.shape) != (info.dtype, info.shape) or not bool(
            (bits(tensor)[change.positions] == bits(change.old)).all()
        ):
            raise IntegrityError("the patches' values do not fit their own digests", where=str(info))
        bits(tensor)[change.positions] = bits(change.new)
    if tensor_digest(info.dtype, info.shape, [raw(tensor)]) != end:
        raise IntegrityError("the patches' values do not fit their own digests", where=str(info))
