"""What a patch puts beside the weights: zogan.json, and new tensors and adapters in files of their own."""

from __future__ import annotations

import json
from pathlib import Path

from zogan.errors import IntegrityError, ZoganError
from zogan.patch.disk import put, sync
from zogan.patch.format import PatchFile, chunks
from zogan.patch.meta import FORMAT, canonical

NOTE = "zogan.json"
TENSORS = "zogan.safetensors"
ADAPTER = "adapter"

_PYTORCH = {"format": "pt"}  # transformers and PEFT refuse a file without it


def contents(file: PatchFile) -> dict[str, bytes]:
    """The files of a patch, by path within the folder; the same patch makes the same bytes."""
    note = {
        "format": FORMAT,
        "patch": file.digest,
        "base": file.meta.base.whole,
        "task": file.meta.task,
        "tools": file.meta.tools,
    }
    found = {NOTE: (canonical(note, indent=2) + "\n").encode()}
    if tensors := file.whole("tensor"):
        found[TENSORS] = b"".join(chunks(tensors, _PYTORCH))
    if adapters := file.whole("adapter"):
        found[f"{ADAPTER}/adapter_model.safetensors"] = b"".join(chunks(adapters, _PYTORCH))
        found[f"{ADAPTER}/adapter_config.json"] = (canonical(file.meta.adapter, indent=2) + "\n").encode()
    return found


def refuse_apply(folder: Path, file: PatchFile) -> None:
    """Nothing that stands in the folder is written over.

    Raises:
        ZoganError: this patch, another one or a file of the same name is there.
    """
    if (folder / NOTE).exists():
        held = applied(folder)
        if held == file.digest:
            raise ZoganError(f"patch {file.digest[:12]} is applied here already", where=str(folder))
        raise ZoganError(
            f"another patch ({(held or 'unknown')[:12]}) is applied here",
            where=str(folder),
            todo="Revert that one first",
        )
    for name in sorted({name.partition("/")[0] for name in contents(file)}):
        if (folder / name).exists() or (folder / name).is_symlink():
            raise ZoganError(
                "is in the way of what the patch puts there", where=str(folder / name), todo="Move it away"
            )


def refuse_revert(folder: Path, file: PatchFile) -> None:
    """Nothing is removed but what the patch itself put there.

    Raises:
        ZoganError: another patch is applied here.
        IntegrityError: one of the patch's files was changed since.
    """
    held = applied(folder)
    if held not in (None, file.digest):
        raise ZoganError(f"another patch ({held[:12]}) is applied here", where=str(folder), todo="Revert with its file")
    adapter = folder / ADAPTER
    if file.meta.adapter is not None and (adapter.is_symlink() or (adapter.exists() and not adapter.is_dir())):
        raise IntegrityError("is not the folder that the patch made", where=str(adapter), todo="Move it away")
    for name, content in contents(file).items():
        path = folder / name
        if path.is_symlink() or (path.exists() and not (path.is_file() and path.read_bytes() == content)):
            raise IntegrityError(
                "was changed since the patch was applied", where=str(path), todo="Move it away to revert the weights"
            )


def applied(folder: Path) -> str | None:
    """The digest of the patch that a folder's zogan.json tells of."""
    try:
        note = json.loads((folder / NOTE).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        raise IntegrityError("is not readable as JSON", where=str(folder / NOTE)) from None
    digest = note.get("patch") if isinstance(note, dict) else None
    return digest if isinstance(digest, str) else "unknown"


def write(folder: Path, file: PatchFile, part: Path) -> None:
    """Put the patch's files into the folder, each whole or not at all. Doing it again changes nothing more."""
    for name, content in contents(file).items():
        path = folder / name
        if path.parent != folder and not path.parent.is_dir():
            path.parent.mkdir()
            sync(folder)
        put(path, content, part)


def remove(folder: Path, file: PatchFile) -> None:
    """Take the patch's files away. Doing it again changes nothing more."""
    for name in contents(file):
        (folder / name).unlink(missing_ok=True)
    adapter = folder / ADAPTER
    if file.meta.adapter is not None and adapter.is_dir() and not any(adapter.iterdir()):
        adapter.rmdir()
    sync(folder)
