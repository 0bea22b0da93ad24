"""Prove what a folder holds before a byte of it changes, and bring it to the other state."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from zogan.disk import sync
from zogan.errors import IntegrityError, ZoganError
from zogan.patch import beside
from zogan.patch.change import Change, bits, raw
from zogan.patch.disk import overwrite
from zogan.patch.format import PatchFile
from zogan.progress import Progress
from zogan.weights import TensorInfo, headers, read_chunks, read_tensor, tensor_digest, whole_digest

Operation = Literal["apply", "revert"]


def prove(folder: Path, file: PatchFile, operation: Operation, progress: Progress) -> None:
    """Read every tensor of the folder and refuse all but the one state that the operation starts from.

    Memory stays near the largest tensor that changes.

    Raises:
        ZoganError: the operation is done already, or another patch is in the way.
        IntegrityError: with the first tensor that is not as it must be.
    """
    (beside.refuse_apply if operation == "apply" else beside.refuse_revert)(folder, file)
    held = beside.applied(folder) if operation == "apply" else None
    try:
        _prove_weights(folder, file, operation, progress)
    except IntegrityError as error:
        if held is None:
            raise
        raise ZoganError(
            f"another patch ({held[:12]}) is applied here, and this one was not made on its result: {error.what}",
            where=str(folder),
            todo="Revert that one first, or put this one onto the folder with `zogan patch rebase`",
        ) from None


def _prove_weights(folder: Path, file: PatchFile, operation: Operation, progress: Progress) -> None:
    infos = _fitting(folder, file)
    progress.start("check", sum(info.nbytes for info in infos.values()))
    done, undone, before = 0, [], {}
    for name, info in infos.items():
        if name in file.meta.after:
            change = file.change(name)
            tensor = read_tensor(info).reshape(-1)  # (numel,)
            state = _state(folder, file, name, _digest(info, tensor), operation)
            undone.append(state)
            if state:
                _rehearse(file, name, info, change, tensor, operation)
            before[name] = file.meta.base.tensors[name]
        else:
            before[name] = tensor_digest(info.dtype, info.shape, read_chunks(info))
        done += info.nbytes
        progress.advance(done)
    if undone and not any(undone):
        told = "is applied here already" if operation == "apply" else "is not applied here"
        raise ZoganError(f"patch {file.digest[:12]} {told}", where=str(folder))
    if not all(undone):
        raise IntegrityError(
            f"holds patch {file.digest[:12]} in part", where=str(folder), todo="Take the folder from a backup"
        )
    if operation == "revert" and not undone and beside.applied(folder) is None:
        raise ZoganError(f"patch {file.digest[:12]} is not applied here", where=str(folder))
    if whole_digest(before) != file.meta.base.whole:
        raise IntegrityError(
            f"is base {whole_digest(before)[:12]} by a tensor that the patch does not change;"
            f" the patch belongs to base {file.meta.base.whole[:12]}",
            where=str(folder),
            todo="A patch fits its own base alone",
        )


def prove_resumable(folder: Path, file: PatchFile, operation: Operation) -> None:
    """Prove that a killed operation can go on: at the patch's positions anything, elsewhere what must be there.

    Raises:
        IntegrityError: with the tensor that something else has changed meanwhile.
    """
    for name, info in _fitting(folder, file).items():
        if name in file.meta.after:
            tensor = read_tensor(info).reshape(-1)  # (numel,)
            change = file.change(name)
            bits(tensor)[change.positions] = bits(change.new if operation == "apply" else change.old)
            if _digest(info, tensor) != _wanted(file, name, operation):
                raise IntegrityError(
                    f"was changed by something else after a zogan {operation} was killed",
                    where=str(info),
                    todo="Take the folder from a backup",
                )


def write(folder: Path, file: PatchFile, operation: Operation, part: Path, progress: Progress) -> None:
    """Bring the folder to the state after the operation. Doing it again changes nothing more.

    Args:
        folder: proven by `prove` or `prove_resumable`.
        file: the patch.
        operation: which way.
        part: a path on the same disk for a file being written.
        progress: counts tensors.

    Raises:
        IntegrityError: with a tensor that does not read back as it was written.
    """
    infos = headers(folder)
    progress.start("write", len(file.names))
    for count, name in enumerate(file.names, start=1):
        change = file.change(name)
        overwrite(infos[name], change.positions, change.new if operation == "apply" else change.old)
        progress.advance(count)
    for weights in sorted({infos[name].file for name in file.names}):
        sync(weights)
    for name in file.names:
        info = infos[name]
        if tensor_digest(info.dtype, info.shape, read_chunks(info)) != _wanted(file, name, operation):
            raise IntegrityError("does not read back as it was written", where=str(info), todo="Check the disk")
    if operation == "apply":
        beside.write(folder, file, part)
    else:
        beside.remove(folder, file, part)


def _fitting(folder: Path, file: PatchFile) -> dict[str, TensorInfo]:
    """The folder's tensors, of which those that the patch names have its dtype and shape."""
    infos = headers(folder)
    for name in file.names:
        if name not in infos:
            raise IntegrityError("is not in the base", where=f"{folder}, tensor {name!r}", todo=_own_base(file))
        info, old = infos[name], file.infos[f"old/{name}"]
        if (info.dtype, info.shape) != (old.dtype, file.meta.shapes[name]):
            raise IntegrityError(
                f"is {info.dtype} {list(info.shape)}, the patch is for {old.dtype} {list(file.meta.shapes[name])}",
                where=str(info),
                todo=_own_base(file),
            )
    return infos


def _state(folder: Path, file: PatchFile, name: str, digest: str, operation: Operation) -> bool:
    """Whether the operation is still to be done in this tensor."""
    before, after = file.meta.base.tensors[name], file.meta.after[name]
    if digest not in (before, after):
        fault = "base differs" if operation == "apply" else "was changed since the patch was applied"
        raise IntegrityError(fault, where=f"{folder}, tensor {name!r}", todo=_own_base(file))
    return digest == (before if operation == "apply" else after)


def _rehearse(
    file: PatchFile, name: str, info: TensorInfo, change: Change, tensor: Tensor, operation: Operation
) -> None:
    """Do the change in memory: a patch whose values lie about what is there, or what comes of it, is refused."""
    held, wanted = (change.old, change.new) if operation == "apply" else (change.new, change.old)
    honest = torch.equal(bits(tensor)[change.positions], bits(held))
    bits(tensor)[change.positions] = bits(wanted)
    if not honest or _digest(info, tensor) != _wanted(file, name, operation):
        raise IntegrityError("the patch's values do not fit its own digests", where=f"{file.path}, tensor {name!r}")


def _wanted(file: PatchFile, name: str, operation: Operation) -> str:
    return file.meta.after[name] if operation == "apply" else file.meta.base.tensors[name]


def _digest(info: TensorInfo, tensor: Tensor) -> str:
    return tensor_digest(info.dtype, info.shape, [raw(tensor)])


def _own_base(file: PatchFile) -> str:
    return f"This patch belongs to base {file.meta.base.whole[:12]}"
