"""Apply and revert on a folder: into a new folder, or in place."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from zogan.disk import sync
from zogan.errors import IntegrityError, RunError, ZoganError
from zogan.patch import beside, journal, state
from zogan.patch.disk import locked, room
from zogan.patch.format import PatchFile
from zogan.patch.state import Operation
from zogan.progress import Progress, Silent
from zogan.weights import weight_files

_SLACK = 2**20  # bytes for names and metadata of the file system


class FolderResult(BaseModel):
    """What was done to a folder."""

    model_config = ConfigDict(frozen=True)

    operation: Operation
    folder: Path
    patch: str
    tensors: int
    weights: int
    recovered: str | None


def apply_folder(
    patch: Path, folder: Path, output: Path | None = None, *, in_place: bool = False, progress: Progress | None = None
) -> FolderResult:
    """Put a patch's new values into a model folder.

    Args:
        patch: the file.
        folder: the patch's own base; not touched unless `in_place`.
        output: the new folder. It appears when it is whole.
        in_place: change `folder` itself, under a journal.
        progress: told of checking, copying and writing.

    Raises:
        ZoganError: applied already, another patch is there, or neither or both of `output` and `in_place` are given.
        RunError: too little disk, or another command is at work.
        IntegrityError: not the patch's base, or a damaged patch; nothing was changed.
    """
    return _run("apply", patch, folder, output, in_place, progress or Silent())


def revert_folder(
    patch: Path, folder: Path, output: Path | None = None, *, in_place: bool = False, progress: Progress | None = None
) -> FolderResult:
    """Give the base back bit for bit. Needs the patch alone. See `apply_folder`."""
    return _run("revert", patch, folder, output, in_place, progress or Silent())


def _run(
    operation: Operation, patch: Path, folder: Path, output: Path | None, in_place: bool, progress: Progress
) -> FolderResult:
    if (output is None) != in_place:
        raise ZoganError("needs either a new folder or in-place, and not both", where=f"patch {operation}")
    if not folder.is_dir():
        raise ZoganError("no such folder", where=str(folder))
    folder = folder.resolve()
    recovery = None
    if output is None or journal.pending(folder):
        with locked(folder):
            recovery = journal.recover_locked(folder, progress)
            if recovery:
                progress.note(recovery.sentence)
            file = PatchFile.open(patch)
            resumed = recovery is not None and (recovery.operation, recovery.patch) == (operation, file.digest)
            if output is None and not resumed:
                _in_place(operation, file, folder, progress)
    if output is not None:
        with locked(folder, shared=True):
            if journal.pending(folder):
                raise RunError("another zogan command was killed here just now", where=str(folder), todo="Try again")
            file = PatchFile.open(patch)
            _anew(operation, file, folder, output, progress)
    return FolderResult(
        operation=operation,
        folder=output or folder,
        patch=file.digest,
        tensors=len(file.names),
        weights=sum(file.infos[f"old/{name}"].numel for name in file.names),
        recovered=recovery.sentence if recovery else None,
    )


def _in_place(operation: Operation, file: PatchFile, folder: Path, progress: Progress) -> None:
    for path in weight_files(folder):
        links = path.lstat().st_nlink
        if path.is_symlink() or links > 1:
            what = "is a link to a file elsewhere" if path.is_symlink() else f"has {links} names (hard links)"
            raise RunError(f"{what}, which would change with it", where=str(path), todo="Write a new folder instead")
        if not os.access(path, os.W_OK) or not os.access(folder, os.W_OK):
            raise RunError("may not be written", where=str(path), todo="Write a new folder instead")
    state.prove(folder, file, operation, progress)
    room(folder, 2 * file.path.stat().st_size + _SLACK)
    journal.finish(folder, operation, journal.begin(folder, file, operation), progress)


def _anew(operation: Operation, file: PatchFile, folder: Path, output: Path, progress: Progress) -> None:
    output = output.absolute()
    if output.is_symlink() or (output.exists() and (not output.is_dir() or any(output.iterdir()))):
        raise ZoganError("exists already", where=str(output), todo="Name a folder that does not exist")
    if not output.parent.is_dir():
        raise ZoganError("no such folder", where=str(output.parent))
    if output.resolve().is_relative_to(folder):
        raise ZoganError(f"lies within {folder}", where=str(output), todo="Name a folder elsewhere")
    state.prove(folder, file, operation, progress)
    sizes = _files(folder)
    room(output.parent, sum(sizes.values()) + file.path.stat().st_size + _SLACK)
    part = output.with_name(f".{output.name}.zogan-part")
    part.mkdir(exist_ok=True)
    with locked(part):
        for left in part.iterdir():  # by a killed command
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
        try:
            _copy(folder, part, sizes, progress)
            state.write(part, file, operation, part / f"{beside.NOTE}.part", progress)
            part.rename(output)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        sync(output.parent)


def _files(folder: Path) -> dict[Path, int]:
    """Every file to copy, relative to the folder, with its bytes. Links to files are read through, as loading does."""
    sizes = {}
    for root, folders, names in os.walk(folder):
        here = Path(root)
        folders[:] = sorted(name for name in folders if not (here == folder and name in journal.ALL))
        for name in folders:
            if (here / name).is_symlink():
                raise RunError("is a link to a folder, which is not followed", where=str(here / name))
        for name in sorted(names):
            if not (here / name).is_file():
                raise RunError(
                    "is no file that can be copied", where=str(here / name), todo="Remove it or mend the link"
                )
            sizes[(here / name).relative_to(folder)] = (here / name).stat().st_size
    return sizes


def _copy(folder: Path, target: Path, sizes: dict[Path, int], progress: Progress) -> None:
    progress.start("copy", sum(sizes.values()))
    done = 0
    for path, size in sizes.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / path, target / path)
        if (target / path).stat().st_size != size:
            raise IntegrityError("changed while it was copied", where=str(folder / path))
        sync(target / path)
        done += size
        progress.advance(done)
    for root, _, _ in os.walk(target):
        sync(Path(root))
