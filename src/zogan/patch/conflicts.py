"""Where patches change the same weights, and whether each goes on where those below it ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from zogan.patch.adapters import module_of
from zogan.patch.change import bits
from zogan.patch.format import PatchFile
from zogan.patch.stack import Entries, Relation, entries, open_stack, relation, tensors_of, text
from zogan.progress import Progress, Silent

_SHOWN = 5  # positions of each meeting


class SharedPosition(BaseModel):
    """A position that two patches change. Values as text: NaN has no JSON."""

    model_config = ConfigDict(frozen=True)

    position: int
    below_new: str
    above_old: str
    above_new: str


class Meeting(BaseModel):
    """Positions of one tensor that a patch changes, and of those below it one last.

    Attributes:
        tensor: its name.
        below: place of the patch below, from 1.
        above: place of the patch above.
        shared: positions that both change.
        follow: those at which the old value of the one above is the new value of the one below.
        compete: those at which it is what stood there before any of them: both were made on the bare base.
        foreign: those at which it is neither.
        first: the first few that do not follow; the first few of all, where all do.
    """

    model_config = ConfigDict(frozen=True)

    tensor: str
    below: int
    above: int
    shared: int
    follow: int
    compete: int
    foreign: int
    first: tuple[SharedPosition, ...]


class Standing(BaseModel):
    """A patch, and how it stands to those below it; null for the lowest."""

    model_config = ConfigDict(frozen=True)

    place: int
    path: Path
    patch: str
    base: str
    relation: Relation | None


class Shared(BaseModel):
    """A new tensor, or a weight with an adapter, that several patches bring; their places, from 1."""

    model_config = ConfigDict(frozen=True)

    name: str
    places: tuple[int, ...]


class Conflicts(BaseModel):
    """How patches stand to each other.

    Attributes:
        stack: whether each was made on the result of those below it, as far as the patches know.
        disjoint: whether no weight of the base is changed by two of them.
        patches: from the lowest up.
        meetings: by tensor, then by patch.
        tensors: new tensors that several bring: the last one's stays.
        adapters: weights on which several have an adapter: no one patch can hold both.
    """

    model_config = ConfigDict(frozen=True)

    stack: bool
    disjoint: bool
    patches: tuple[Standing, ...]
    meetings: tuple[Meeting, ...]
    tensors: tuple[Shared, ...]
    adapters: tuple[Shared, ...]


def find_conflicts(patches: Sequence[Path], *, progress: Progress | None = None) -> Conflicts:
    """Find where patches change the same weights. Memory holds the entries of one tensor.

    Args:
        patches: two files or more, from the lowest up.
        progress: told of tensors.

    Raises:
        ZoganError: fewer than two.
        IntegrityError: a damaged patch, or two that differ in a tensor's dtype or shape.
    """
    progress = progress or Silent()
    files = open_stack(patches, least=2)
    names = [name for name in tensors_of(files) if sum(name in file.meta.after for file in files) > 1]
    progress.start("conflicts", len(names))
    meetings: list[Meeting] = []
    broken = False
    for count, name in enumerate(names, start=1):
        found = entries(files, name)
        broken |= bool(found.broken.any())
        meetings += _meetings(name, found, len(files))
        progress.advance(count)
    standing = [relation(files, place) if place else None for place in range(len(files))]
    return Conflicts(
        stack=not broken and all(one in (None, "stack") for one in standing),
        disjoint=not meetings,
        patches=tuple(
            Standing(place=place, path=file.path, patch=file.digest, base=file.meta.base.whole, relation=one)
            for place, (file, one) in enumerate(zip(files, standing, strict=True), start=1)
        ),
        meetings=tuple(meetings),
        tensors=_shared(files, "tensor/"),
        adapters=_shared(files, "adapter/"),
    )


def _meetings(name: str, found: Entries, count: int) -> list[Meeting]:
    above = found.again.nonzero().flatten()  # (shared,) entries that stand on one below
    pairs = found.places[above - 1] * count + found.places[above]  # (shared,)
    follow, bare = ~found.broken, bits(found.bare) == bits(found.old)
    met = []
    for pair in np.unique(pairs.numpy()).tolist():
        at = above[pairs == pair]
        met.append(_meeting(name, found, pair // count + 1, pair % count + 1, at, follow[at], bare[at]))
    return met


def _meeting(
    name: str, found: Entries, below: int, above: int, at: Tensor, follow: Bool[Tensor, " n"], bare: Bool[Tensor, " n"]
) -> Meeting:
    shown = at[~follow] if bool((~follow).any()) else at
    return Meeting(
        tensor=name,
        below=below,
        above=above,
        shared=len(at),
        follow=int(follow.sum()),
        compete=int((bare & ~follow).sum()),
        foreign=int((~bare & ~follow).sum()),
        first=tuple(
            SharedPosition(
                position=int(found.positions[i]),
                below_new=text(found.new[i - 1]),
                above_old=text(found.old[i]),
                above_new=text(found.new[i]),
            )
            for i in shown[:_SHOWN].tolist()
        ),
    )


def _shared(files: Sequence[PatchFile], prefix: str) -> tuple[Shared, ...]:
    places: dict[str, set[int]] = {}
    for place, file in enumerate(files, start=1):
        for key in file.infos:
            if key.startswith(prefix):
                name = key.removeprefix(prefix)
                places.setdefault(name if prefix == "tensor/" else module_of(name), set()).add(place)
    return tuple(Shared(name=name, places=tuple(sorted(at))) for name, at in sorted(places.items()) if len(at) > 1)
