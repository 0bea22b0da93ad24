"""Changing a folder in place so that a kill at any instant leaves the old state or the new one.

`.zogan-journal` holds a copy of the patch and what is done with it. It is made under another name; renaming it is
the instant from which the operation counts. From then on it can only go forward: every write can be done again, and
renaming the journal away, once all is on the disk, ends it.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from zogan.disk import sync
from zogan.errors import IntegrityError, ZoganError
from zogan.patch import state
from zogan.patch.disk import locked
from zogan.patch.format import PatchFile
from zogan.patch.meta import FORMAT, canonical
from zogan.patch.state import Operation
from zogan.progress import Progress, Silent

JOURNAL = ".zogan-journal"
_BEGUN = ".zogan-journal.part"
_ENDED = ".zogan-journal.done"
ALL = (JOURNAL, _BEGUN, _ENDED)

_PATCH = "patch.safetensors"
_OPERATION = "operation.json"


@dataclass(frozen=True)
class Recovery:
    """What was found of a killed command, and what became of it.

    Attributes:
        operation: what it did, where that is still known.
        patch: digest of its patch, where that is still known.
        sentence: for the user.
    """

    operation: Operation | None
    patch: str | None
    sentence: str


def recover(folder: Path) -> str | None:
    """Finish or remove what a killed command left in the folder. Every command on a folder does this first.

    Returns: a sentence that says what was found and done; None where there was nothing.

    Raises:
        RunError: a command is at work here.
        IntegrityError: a journal that cannot be finished, with the tensor; nothing was written.
    """
    if not pending(folder):
        return None
    with locked(folder):
        recovery = recover_locked(folder)
    return recovery.sentence if recovery else None


def pending(folder: Path) -> bool:
    """Whether a killed command has left something, or one is at work."""
    return any((folder / name).exists() or (folder / name).is_symlink() for name in ALL)


def recover_locked(folder: Path, progress: Progress | None = None) -> Recovery | None:
    """`recover`, for who holds the lock."""
    for name in ALL:
        if (folder / name).is_symlink():
            raise IntegrityError("is a link, and no journal of zogan", where=str(folder / name), todo="Remove it")
    found = None
    if (folder / _ENDED).is_dir():
        sentence = "A killed zogan command had done all its work here; its journal was removed."
        found = _ended(folder / _ENDED, sentence)
        shutil.rmtree(folder / _ENDED)
    if (folder / _BEGUN).is_dir():
        shutil.rmtree(folder / _BEGUN)
        found = Recovery(None, None, "A killed zogan command had changed nothing here yet; its journal was removed.")
    if (folder / JOURNAL).is_dir():
        operation, file = _read(folder / JOURNAL)
        state.prove_resumable(folder, file, operation)
        finish(folder, operation, file, progress or Silent())
        done = "applied" if operation == "apply" else "reverted"
        found = Recovery(
            operation,
            file.digest,
            f"A zogan patch {operation} was killed here; it was finished: patch {file.digest[:12]} is {done}.",
        )
    return found


def begin(folder: Path, patch: PatchFile, operation: Operation) -> PatchFile:
    """Write the journal. When this returns the operation counts.

    Returns: the journal's own copy of the patch, proven.
    """
    begun = folder / _BEGUN
    begun.mkdir()
    try:
        shutil.copyfile(patch.path, begun / _PATCH)
        if PatchFile.open(begun / _PATCH).digest != patch.digest:
            raise IntegrityError("changed while it was read", where=str(patch.path))
        note = {"format": FORMAT, "operation": operation, "patch": patch.digest}
        (begun / _OPERATION).write_text(canonical(note) + "\n", encoding="utf-8")
        for name in (_PATCH, _OPERATION):
            sync(begun / name)
        sync(begun)
        begun.rename(folder / JOURNAL)
    except BaseException:
        shutil.rmtree(begun, ignore_errors=True)
        raise
    sync(folder)
    return PatchFile.open(folder / JOURNAL / _PATCH)


def finish(folder: Path, operation: Operation, file: PatchFile, progress: Progress) -> None:
    """Do what the journal says, and end it."""
    state.write(folder, file, operation, folder / JOURNAL / "part", progress)
    (folder / JOURNAL).rename(folder / _ENDED)
    sync(folder)
    shutil.rmtree(folder / _ENDED)


def _ended(journal: Path, sentence: str) -> Recovery:
    try:
        operation, file = _read(journal)
    except ZoganError:  # its removal had begun
        return Recovery(None, None, sentence)
    return Recovery(operation, file.digest, sentence)


def _read(journal: Path) -> tuple[Operation, PatchFile]:
    try:
        note = json.loads((journal / _OPERATION).read_bytes())
        operation, digest = note["operation"], note["patch"]
        if note["format"] != FORMAT or operation not in ("apply", "revert"):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise IntegrityError("is no journal that this zogan can read", where=str(journal)) from None
    file = PatchFile.open(journal / _PATCH)
    if file.digest != digest:
        raise IntegrityError("is not the patch that the journal is for", where=str(file.path))
    return operation, file
