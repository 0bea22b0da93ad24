"""One patch out of the middle of a stack: those above it rewritten, so that they stand on the stack without it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from zogan.disk import sync
from zogan.errors import IntegrityError, ZoganError
from zogan.patch.change import Change, bits, raw
from zogan.patch.disk import locked
from zogan.patch.format import PatchFile
from zogan.patch.meta import of_any_model
from zogan.patch.source import Source
from zogan.patch.stack import after, open_stack, prove_stack, tensors_of
from zogan.patch.stream import refuse_existing, writing
from zogan.progress import Progress, Silent
from zogan.weights import read_tensor, tensor_digest, whole_digest

_NAMED = 5  # tensors in an error


class Rewritten(BaseModel):
    """A patch that stood above the one taken out. `patch` is its digest now, `was` its digest before."""

    model_config = ConfigDict(frozen=True)

    path: Path
    patch: str
    was: str
    base: str


class Removed(BaseModel):
    """A stack without one of its patches.

    Attributes:
        removed: digest of the patch taken out, SHA-256 in hex.
        stack: files of the stack without it, from the lowest up.
        rewritten: those of them that were written anew.
        weights: that the patch had changed, all of which hold again what they held before it.
        tensors: names of new tensors and adapters that go with it, unless another patch brings them.
    """

    model_config = ConfigDict(frozen=True)

    removed: str
    stack: tuple[Path, ...]
    rewritten: tuple[Rewritten, ...]
    weights: int
    tensors: tuple[str, ...]


def remove_patch(
    patches: Sequence[Path], out: int, output: Path, *, base: Path | None = None, progress: Progress | None = None
) -> Removed:
    """Take one patch out of a stack, exactly: no weight that it changes is changed by one above it.

    The values of those above stay as they are; the digests of their bases and results are taken anew, for which every
    tensor that the stack changes is read from the base once. Memory holds one tensor and one patch's entries in it.

    Args:
        patches: files, from the lowest up.
        out: which one goes, from 1.
        output: a new folder for the patches above it, each by its place in the stack as it was: `3-NAME`. Not made
            where there are none.
        base: the folder that the lowest was made on; not needed where the last one goes.
        progress: told of tensors.

    Raises:
        ZoganError: there is no such patch, a later one changes a weight that it changes, or `output` exists.
        IntegrityError: a damaged patch, or patches that are no stack on this base.
    """
    progress = progress or Silent()
    refuse_existing(output)
    files = open_stack(patches)
    if not 1 <= out <= len(files):
        raise ZoganError(f"there is no patch {out} in a stack of {len(files)}", todo="The lowest is 1")
    gone, above = files[out - 1], files[out:]
    _refuse_shared(gone, above, out)
    rewritten: tuple[Rewritten, ...] = ()
    if not above:
        prove_stack(files)
    elif base is None:
        raise ZoganError(
            f"{len(above)} patches stand above it, whose digests must be taken anew, and no base is given",
            where=str(gone.path),
            todo="Give the folder that the lowest patch was made on, without any patch applied",
        )
    else:
        folder = Source.open(base, progress)
        prove_stack(files, folder.digests)
        rewritten = _write(folder, files, out, output, _digests(folder, files, out, progress))
    return Removed(
        removed=gone.digest,
        stack=(*(file.path for file in files[: out - 1]), *(one.path for one in rewritten)),
        rewritten=rewritten,
        weights=sum(gone.infos[f"old/{name}"].numel for name in gone.names),
        tensors=tuple(sorted(key for key in gone.infos if key.startswith(("tensor/", "adapter/")))),
    )


def _digests(folder: Source, files: Sequence[PatchFile], out: int, progress: Progress) -> list[dict[str, str]]:
    """Of each patch above the one taken out: digests of its tensors, once it is applied without that one."""
    above, gone = files[out:], files[out - 1]
    ends: list[dict[str, str]] = [dict(file.meta.after) for file in above]
    touched = [name for name in tensors_of(above) if name in gone.meta.after] if above else []
    progress.start("rewrite", sum(folder.infos[name].nbytes for name in touched))
    done = 0
    for name in touched:
        info = folder.infos[name]
        tensor = folder.read(name).reshape(-1)  # (numel,)
        for file in files[: out - 1]:
            if name in file.meta.after:
                _step(tensor, file, name, file.change(name))
        for file, digests in zip(above, ends, strict=True):
            if name in file.meta.after:
                _step(tensor, file, name, file.change(name))
                digests[name] = tensor_digest(info.dtype, info.shape, [raw(tensor)])
        done += info.nbytes
        progress.advance(done)
    return ends


def _step(tensor: Tensor, file: PatchFile, name: str, change: Change) -> None:
    """Apply one patch to one tensor in memory."""
    fits = (change.old.dtype, change.numel) == (tensor.dtype, tensor.numel())
    if not fits or not torch.equal(bits(tensor)[change.positions], bits(change.old)):
        raise IntegrityError("the patch's old values are not what stands there", where=f"{file.path}, tensor {name!r}")
    bits(tensor)[change.positions] = bits(change.new)


def _write(
    folder: Source, files: Sequence[PatchFile], out: int, output: Path, digests: Sequence[dict[str, str]]
) -> tuple[Rewritten, ...]:
    """Write those above into a new folder, which appears when it is whole."""
    gone, width = files[out - 1], len(str(len(files)))
    part = output.absolute().with_name(f".{output.name}.zogan-part")
    part.mkdir(exist_ok=True)
    rewritten: list[Rewritten] = []
    held = {**folder.digests, **after(files[: out - 1])}
    renamed = {gone.digest: files[out - 2].digest if out > 1 else gone.meta.parent}
    with locked(part):
        for left in part.iterdir():  # by a killed command
            left.unlink()
        try:
            for place, (file, ends) in enumerate(zip(files[out:], digests, strict=True), start=out + 1):
                path = part / f"{place:0{width}}-{file.path.name}"
                digest = _rewrite(file, path, held, ends, renamed)
                rewritten.append(
                    Rewritten(path=output / path.name, patch=digest, was=file.digest, base=whole_digest(held))
                )
                renamed[file.digest] = digest
                held |= ends
            sync(part)
            part.rename(output)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    sync(output.absolute().parent)
    return tuple(rewritten)


def _rewrite(
    file: PatchFile, path: Path, held: dict[str, str], ends: dict[str, str], renamed: dict[str, str | None]
) -> str:
    """The same patch on another base: its values stay, its digests are those of the base as it is now."""
    base = file.meta.base.model_copy(
        update={"whole": whole_digest(held), "tensors": {name: held[name] for name in file.names}}
    )
    meta = file.meta.model_copy(
        update={
            "base": base,
            "after": {name: ends[name] for name in file.names},
            "parent": renamed.get(file.meta.parent, file.meta.parent) if file.meta.parent else None,
            "hashes": file.meta.hashes | {"rewritten": file.digest},
            "task": of_any_model(file.meta.task),
        }
    )
    with writing(path) as writer:
        for name in file.names:
            writer.add(name, file.change(name))
        for key, info in file.infos.items():
            prefix, _, name = key.partition("/")
            if prefix in ("tensor", "adapter"):
                writer.add_whole(prefix, name, read_tensor(info))
        return writer.finish(meta)


def _refuse_shared(gone: PatchFile, above: Sequence[PatchFile], out: int) -> None:
    """Refuse where a patch above changes a weight that the one to go changes."""
    found: list[str] = []
    count = 0
    for name in gone.names:
        later = [file.change(name).positions for file in above if name in file.meta.after]
        if not later:
            continue
        mine = gone.change(name).positions
        shared = mine[torch.isin(mine, torch.cat(later))]
        if len(shared):
            count += len(shared)
            first = ", ".join(map(str, shared[:_NAMED].tolist()))
            found.append(f"{name} ({len(shared):,}: {first}{', …' if len(shared) > _NAMED else ''})")
    if found:
        raise ZoganError(
            f"patches above it change {count:,} of its weights too: {'; '.join(found[:_NAMED])}"
            f"{f'; and {len(found) - _NAMED} more tensors' if len(found) > _NAMED else ''}",
            where=f"{gone.path}, patch {out}",
            todo="Take those above out first, or put them with `zogan patch rebase` onto the stack below it",
        )
