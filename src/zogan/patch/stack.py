"""Patches piled up, each made on the result of the one before: their entries side by side, and the proof of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Int64, Shaped
from torch import Tensor

from zogan.errors import IntegrityError, ZoganError
from zogan.patch.change import Change, bits
from zogan.patch.format import PatchFile
from zogan.weights import whole_digest

Relation = Literal["stack", "competes", "other base"]
"""How a patch stands to those below it: made on their result, on what one of them was made on, or on something else."""

_LAYER = re.compile(r"^(.+?\.\d+)\.")


@dataclass(frozen=True, eq=False)
class Entries:
    """What the patches of a stack list in one tensor, by position, and within one position from the lowest patch up.

    Attributes:
        dtype: the tensor's, as safetensors names it.
        shape: the tensor's.
        positions: flat and not decreasing; one stands once for each patch that lists it.
        places: in the stack, from 0, of the patch that lists the entry.
        old: what the patch found there.
        new: what it put there.
        again: whether the position stands in the entry before, too.
    """

    dtype: str
    shape: tuple[int, ...]
    positions: Int64[Tensor, " n"]
    places: Int64[Tensor, " n"]
    old: Shaped[Tensor, " n"]
    new: Shaped[Tensor, " n"]
    again: Bool[Tensor, " n"]

    @property
    def broken(self) -> Bool[Tensor, " n"]:
        """Whether the entry's old value is not what the patch below it put there."""
        differs = bits(self.old)[1:] != bits(self.new)[:-1]
        return self.again & torch.cat([torch.zeros(1, dtype=torch.bool), differs])

    @property
    def bare(self) -> Shaped[Tensor, " n"]:
        """What stood at each entry's position before the lowest patch that lists it."""
        first = torch.where(self.again, 0, torch.arange(len(self.again))).cummax(0).values  # (n,)
        return bits(self.old)[first].view(self.old.dtype)

    def merged(self) -> Change | None:
        """All patches as one: the lowest's old value and the highest's new one; None where nothing changes."""
        last = ~torch.cat([self.again[1:], torch.zeros(1, dtype=torch.bool)])
        old, new = bits(self.old)[~self.again], bits(self.new)[last]
        kept = old != new
        if not bool(kept.any()):
            return None
        values = self.old.dtype
        return Change(
            self.dtype, self.shape, self.positions[last][kept], old[kept].view(values), new[kept].view(values)
        )


def entries(files: Sequence[PatchFile], name: str) -> Entries:
    """Read what patches list in one tensor.

    Args:
        files: from the lowest up; those that do not change the tensor are passed over.
        name: the tensor's; at least one patch changes it.

    Raises:
        IntegrityError: a damaged patch, or two that differ in the tensor's dtype or shape.
    """
    found = [(place, file.change(name)) for place, file in enumerate(files) if name in file.meta.after]
    first = found[0][1]
    for place, change in found[1:]:
        if (change.dtype, change.shape) != (first.dtype, first.shape):
            raise IntegrityError(
                f"is {change.dtype} {list(change.shape)}, and {first.dtype} {list(first.shape)} in"
                f" {files[found[0][0]].path}",
                where=f"{files[place].path}, tensor {name!r}",
                todo="These patches belong to different bases",
            )
    positions = torch.cat([change.positions for _, change in found])  # (n,)
    # numpy's stable sort finds the runs that are sorted already, one for each patch, and merges them.
    by = torch.from_numpy(np.argsort(positions.numpy(), kind="stable"))  # (n,)
    positions = positions[by]
    places = torch.cat([torch.full((len(change.positions),), place) for place, change in found])[by]
    old, new = (
        torch.cat([bits(values) for values in side])[by].view(first.old.dtype)
        for side in ([change.old for _, change in found], [change.new for _, change in found])
    )
    again = torch.cat([torch.zeros(1, dtype=torch.bool), positions.diff() == 0])
    return Entries(first.dtype, first.shape, positions, places, old, new, again)


def open_stack(paths: Sequence[Path], least: int = 1) -> list[PatchFile]:
    """Open patches, and prove all but their tensors.

    Raises:
        ZoganError: fewer than `least`.
        IntegrityError: one is damaged.
    """
    if len(paths) < least:
        raise ZoganError(f"{len(paths)} patches are given, {least} are the least", todo="Name more patch files")
    return [PatchFile.open(path) for path in paths]


def tensors_of(files: Sequence[PatchFile]) -> list[str]:
    """Names of the base's tensors that at least one patch changes, sorted."""
    return sorted({name for file in files for name in file.meta.after})


def relation(files: Sequence[PatchFile], place: int) -> Relation:
    """How a patch stands to those below it, by the digests alone."""
    above = files[place].meta.base
    fits = True
    for lowest in range(place):
        moved, same = _moved(files[lowest:place]), files[lowest].meta.base.whole == above.whole
        if same and moved:
            return "competes"
        fits &= same or moved
    held = after(files[:place])
    fits &= all(held.get(name, digest) == digest for name, digest in above.tensors.items())
    return "stack" if fits and above.weights == files[0].meta.base.weights else "other base"


def before(files: Sequence[PatchFile]) -> dict[str, str]:
    """Digest of each tensor that the patches change, as the lowest that does found it."""
    digests: dict[str, str] = {}
    for file in files:
        digests = file.meta.base.tensors | digests
    return digests


def after(files: Sequence[PatchFile]) -> dict[str, str]:
    """Digest of each tensor that the patches change, once all are applied in turn."""
    digests: dict[str, str] = {}
    for file in files:
        digests |= file.meta.after
    return digests


def prove_stack(files: Sequence[PatchFile], base: Mapping[str, str] | None = None) -> None:
    """Prove that each patch was made on the result of those below it.

    Args:
        files: from the lowest up.
        base: digest of each tensor of the base; with it the proof is whole. Without, a difference in a tensor that no
            two patches change stays unseen: it shows when the result is applied.

    Raises:
        IntegrityError: with the first patch that does not fit, the tensor and the position.
    """
    if base is not None and whole_digest(base) != files[0].meta.base.whole:
        raise IntegrityError(
            f"belongs to base {files[0].meta.base.whole[:12]}, the folder is base {whole_digest(base)[:12]}",
            where=str(files[0].path),
            todo="Give the folder that the lowest patch was made on, without any patch applied",
        )
    if base is not None:
        for name, digest in before(files).items():
            if base.get(name) != digest:
                raise IntegrityError(
                    "is not the tensor of the folder that the patch's own digest over all stands for",
                    where=f"{files[0].path}, tensor {name!r}",
                )
    for place in range(1, len(files)):
        found = relation(files, place)
        if found != "stack":
            raise IntegrityError(_unfit(files, place, found), where=str(files[place].path), todo=_TODO)
        if base is not None and whole_digest({**base, **after(files[:place])}) != files[place].meta.base.whole:
            raise IntegrityError(
                f"belongs to base {files[place].meta.base.whole[:12]}, which those below it do not make of the folder",
                where=str(files[place].path),
                todo=_TODO,
            )


def prove_entries(files: Sequence[PatchFile], name: str, found: Entries) -> None:
    """Prove value by value that each patch of a tensor goes on where those below it ended.

    Raises:
        IntegrityError: with the first position at which one does not.
    """
    broken = found.broken.nonzero().flatten()
    if len(broken):
        at = int(broken[0])
        raise IntegrityError(
            f"its old value at position {int(found.positions[at])} is {text(found.old[at])}, where"
            f" {files[int(found.places[at - 1])].path} put {text(found.new[at - 1])}; so do {len(broken):,} in all",
            where=f"{files[int(found.places[at])].path}, tensor {name!r}",
            todo=_TODO,
        )


def layer_of(name: str) -> str:
    """The layer that a tensor belongs to: its name up to the first number, or all but its last word."""
    match = _LAYER.match(name)
    return match[1] if match else name.rpartition(".")[0] or name


def text(value: Shaped[Tensor, ""]) -> str:
    """One value, exact enough to tell it from every other of its dtype; NaN with its bits."""
    shown = str(value.item())
    if value.dtype.is_floating_point and bool(value.isnan()):
        width = 8 * value.dtype.itemsize
        return f"{shown} (0x{int(bits(value)) % 2**width:0{width // 4}x})"
    return shown


_TODO = "`zogan patch conflicts` shows where; `zogan patch rebase` puts a patch onto the result of another"


def _moved(files: Sequence[PatchFile]) -> bool:
    """Whether patches in turn leave any tensor otherwise than they found it."""
    return before(files) != after(files)


def _unfit(files: Sequence[PatchFile], place: int, found: Relation) -> str:
    """Why a patch does not stand on those below it."""
    above = files[place]
    if found == "competes":
        rival = next(file for file in files if file.meta.base.whole == above.meta.base.whole)
        return f"was made on the same base as {rival.path}, not on its result: they compete"
    held = after(files[:place])
    odd = [name for name, digest in above.meta.base.tensors.items() if held.get(name, digest) != digest]
    if odd:
        return f"was made on another tensor {min(odd)!r} than those below it leave"
    return f"belongs to base {above.meta.base.whole[:12]}, the lowest to {files[0].meta.base.whole[:12]}"
