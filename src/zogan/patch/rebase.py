"""A patch put onto a base that has changed since it was made."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Bool, Shaped
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from zogan.errors import ZoganError
from zogan.patch.beside import parent
from zogan.patch.change import Change, bits, raw
from zogan.patch.format import PatchFile
from zogan.patch.meta import BaseMeta, of_any_model
from zogan.patch.source import Source
from zogan.patch.stack import text
from zogan.patch.stream import refuse_existing, writing
from zogan.progress import Progress, Silent
from zogan.weights import read_tensor, tensor_digest

Keep = Literal["values", "difference"]
"""What of a patch is kept where the base moved: the values that it puts there, or how far it moves them."""

_SHOWN = 5  # positions of each tensor


class MovedValue(BaseModel):
    """A position at which the base is not what the patch was made on. Values as text: NaN has no JSON."""

    model_config = ConfigDict(frozen=True)

    position: int
    old: str
    here: str
    new: str


class RebasedTensor(BaseModel):
    """One tensor. `moved` of the `listed` positions hold another value here than the patch's old one; at `dropped` of
    them that is the value to be put there, so that they leave the patch. `largest_move` is the greatest distance
    between old value and value here."""

    model_config = ConfigDict(frozen=True)

    name: str
    listed: int
    moved: int
    dropped: int
    largest_move: float | None
    first: tuple[MovedValue, ...]


class Rebased(BaseModel):
    """A patch on another base.

    Attributes:
        path: its file.
        patch: its digest, SHA-256 in hex.
        was: digest of the patch that it was made from; the same where the base is the same.
        base: digest over all tensors of the base that it belongs to.
        was_base: and of the one that it belonged to.
        keep: what was kept where the base moved.
        weights: that it changes.
        moved: positions of the old patch at which the base has moved.
        dropped: those of them that hold already what would be put there.
        changes: the same, tensor by tensor.
    """

    model_config = ConfigDict(frozen=True)

    path: Path
    patch: str
    was: str
    base: str
    was_base: str
    keep: Keep
    weights: int
    moved: int
    dropped: int
    changes: tuple[RebasedTensor, ...]


def rebase_patch(
    patch: Path, onto: Path, output: Path, *, keep: Keep = "values", progress: Progress | None = None
) -> Rebased:
    """Make a patch for another base out of one: the same positions, the base's own old values, its own digests.

    Where the base has not moved the new value stays. Where it has, "values" puts the patch's new value there, and
    "difference" puts `here + (new - old)`, taken in fp32 (fp64 for an fp64 base) and rounded to the base's dtype. On
    the base that the patch was made on, either gives the same bytes. Whether it is any good elsewhere must be measured.

    Args:
        patch: the file.
        onto: the other base's folder. It has every tensor that the patch changes, in the same dtype and shape.
        output: the file to write; must not exist.
        keep: what is kept where the base moved.
        progress: told of the folder's bytes.

    Raises:
        ZoganError: `output` exists, or a difference cannot be taken: no floating-point tensor, or beyond its dtype.
        IntegrityError: a damaged patch, or a tensor that the folder lacks or has in another dtype or shape.
    """
    progress = progress or Silent()
    refuse_existing(output)
    file = PatchFile.open(patch)
    folder = Source.open(onto, progress)
    for name in file.names:
        folder.fitting(name, file.infos[f"old/{name}"].dtype, file.meta.shapes[name], patch)
    told: list[RebasedTensor] = []
    shapes, ends = {}, {}
    progress.start("rebase", sum(folder.infos[name].nbytes for name in file.names))
    done = weights = 0
    with writing(output) as writer:
        for name in file.names:
            info, change = folder.infos[name], file.change(name)
            tensor = folder.read(name).reshape(-1)  # (numel,)
            here = bits(tensor)[change.positions].view(tensor.dtype)  # (n,)
            moved = bits(here) != bits(change.old)
            new = _wanted(change, here, moved, keep, f"{patch}, tensor {name!r}")
            kept = bits(new) != bits(here)
            told.append(_told(name, change, here, new, moved, dropped=int((~kept).sum())))
            if bool(kept.any()):
                settled = Change(info.dtype, info.shape, *_picked(kept, change, here, new))
                writer.add(name, settled)
                bits(tensor)[settled.positions] = bits(settled.new)
                shapes[name], ends[name] = info.shape, tensor_digest(info.dtype, info.shape, [raw(tensor)])
                weights += len(settled.positions)
            done += info.nbytes
            progress.advance(done)
        for key, stored in file.infos.items():
            prefix, _, name = key.partition("/")
            if prefix in ("tensor", "adapter"):
                writer.add_whole(prefix, name, read_tensor(stored))
        base = BaseMeta(
            whole=folder.whole, weights=folder.weights, tensors={name: folder.digests[name] for name in shapes}
        )
        meta = file.meta.model_copy(update={"base": base, "shapes": shapes, "after": ends})
        if meta.base.whole != file.meta.base.whole:
            meta = meta.model_copy(update={"parent": parent(onto) if onto.is_dir() else None})
        if meta != file.meta:
            hashes = file.meta.hashes | {"rewritten": file.digest}
            meta = meta.model_copy(update={"hashes": hashes, "task": of_any_model(file.meta.task)})
        digest = writer.finish(meta)
    return Rebased(
        path=output,
        patch=digest,
        was=file.digest,
        base=folder.whole,
        was_base=file.meta.base.whole,
        keep=keep,
        weights=weights,
        moved=sum(one.moved for one in told),
        dropped=sum(one.dropped for one in told),
        changes=tuple(told),
    )


def _wanted(
    change: Change, here: Shaped[Tensor, " n"], moved: Bool[Tensor, " n"], keep: Keep, where: str
) -> Shaped[Tensor, " n"]:
    """What the patch is to put at each of its positions."""
    if keep == "values" or not bool(moved.any()):
        return change.new
    if not change.old.dtype.is_floating_point:
        raise ZoganError(f"is {change.dtype}, of which no difference is kept", where=where, todo="Use --keep values")
    wide = torch.promote_types(change.old.dtype, torch.float32)
    held, old, new = (values.to(wide) for values in (here, change.old, change.new))
    result = (held + (new - old)).to(change.old.dtype)
    measured = old.isfinite() & new.isfinite()
    over = moved & measured & held.isfinite() & ~result.to(wide).isfinite()
    if bool(over.any()):
        at = int(over.nonzero()[0])
        raise ZoganError(
            f"at position {int(change.positions[at])} the difference leads beyond {change.dtype}'s largest number:"
            f" {text(here[at])} + ({text(change.new[at])} - {text(change.old[at])})",
            where=where,
            todo="Use --keep values",
        )
    # From or to infinity or NaN there is no difference.
    return torch.where(moved & measured, bits(result), bits(change.new)).view(change.new.dtype)


def _picked(
    kept: Bool[Tensor, " n"], change: Change, here: Shaped[Tensor, " n"], new: Shaped[Tensor, " n"]
) -> tuple[Tensor, Tensor, Tensor]:
    return change.positions[kept], bits(here)[kept].view(here.dtype), bits(new)[kept].view(new.dtype)


def _told(
    name: str,
    change: Change,
    here: Shaped[Tensor, " n"],
    new: Shaped[Tensor, " n"],
    moved: Bool[Tensor, " n"],
    *,
    dropped: int,
) -> RebasedTensor:
    """What is reported of one tensor."""
    at = moved.nonzero().flatten()
    largest = None
    if len(at) and change.old.dtype.is_floating_point:
        distance = (here.double() - change.old.double())[moved].abs().max().item()
        # NaN and infinity have no JSON.
        largest = distance if distance < float("inf") else None
    return RebasedTensor(
        name=name,
        listed=len(change.positions),
        moved=len(at),
        dropped=dropped,
        largest_move=largest,
        first=tuple(
            MovedValue(position=int(change.positions[i]), old=text(change.old[i]), here=text(here[i]), new=text(new[i]))
            for i in at[:_SHOWN].tolist()
        ),
    )
