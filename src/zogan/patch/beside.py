"""What a patch puts beside the weights: zogan.json, and new tensors and adapters in files of their own."""

from __future__ import annotations

import json
import re
from pathlib import Path

from zogan.disk import put, sync
from zogan.errors import IntegrityError, ZoganError
from zogan.patch import below
from zogan.patch.format import PatchFile, chunks
from zogan.patch.meta import FORMAT, canonical
from zogan.weights import header, read_tensor

NOTE = "zogan.json"
TENSORS = "zogan.safetensors"
ADAPTER = "adapter"

_ALL = (TENSORS, f"{ADAPTER}/adapter_model.safetensors", f"{ADAPTER}/adapter_config.json", NOTE)  # the note comes last
_PYTORCH = {"format": "pt"}  # transformers and PEFT refuse a file without it


def contents(file: PatchFile, under: Path | None = None) -> dict[str, bytes]:
    """The files of a patch, by path within the folder; the same patch on the same stack makes the same bytes.

    Args:
        file: the patch.
        under: with what the patch right under it put there; its new tensors and adapters stay where this one has none.
    """
    note = {
        "format": FORMAT,
        "patch": file.digest,
        "base": file.meta.base.whole,
        "task": file.meta.task,
        "tools": file.meta.tools,
    }
    found: dict[str, bytes] = {}
    tensors = file.whole("tensor")
    if under is not None:
        note["below"] = applied(under)
        if (under / TENSORS).is_file():
            tensors = {name: read_tensor(info) for name, info in header(under / TENSORS).items()} | tensors
        found |= {name: (under / name).read_bytes() for name in _ALL[1:3] if (under / name).is_file()}
    found[NOTE] = (canonical(note, indent=2) + "\n").encode()
    if tensors:
        found[TENSORS] = b"".join(chunks(tensors, _PYTORCH))
    if adapters := file.whole("adapter"):
        found[f"{ADAPTER}/adapter_model.safetensors"] = b"".join(chunks(adapters, _PYTORCH))
        found[f"{ADAPTER}/adapter_config.json"] = (canonical(file.meta.adapter, indent=2) + "\n").encode()
    return found


def refuse_apply(folder: Path, file: PatchFile) -> None:
    """Nothing that stands in the folder is written over, but what a patch under this one put there, which is kept.

    Raises:
        ZoganError: this patch, or a file of the same name is there; or two patches bring adapters.
    """
    held = applied(folder)
    if held == file.digest:
        raise ZoganError(f"patch {file.digest[:12]} is applied here already", where=str(folder))
    if held is not None:
        below.top(folder)
        if file.meta.adapter is not None and (folder / ADAPTER).exists():
            raise ZoganError(
                f"adapters of another patch ({held[:12]}) are here",
                where=str(folder / ADAPTER),
                todo="Revert that one, and make one patch of both with `zogan patch compose`",
            )
        return
    for name in sorted({name.partition("/")[0] for name in contents(file)} | {below.BELOW}):
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
    under = below.top(folder)
    if under is not None and held is None:
        raise IntegrityError("is gone", where=str(folder / NOTE), todo="Take the folder from a backup")
    for name, content in contents(file, under).items():
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


def parent(folder: Path) -> str | None:
    """The digest of the patch on whose result a folder's model stands; None where that is no patch, or unknown."""
    held = applied(folder)
    return held if held is not None and re.fullmatch("[0-9a-f]{64}", held) else None


def write(folder: Path, file: PatchFile, part: Path) -> None:
    """Put the patch's files into the folder, each whole or not at all. Doing it again changes nothing more."""
    held, under = applied(folder), below.top(folder)
    if held not in (None, file.digest):
        if under is None or applied(under) != held:
            below.keep(folder, _ALL)
        under = below.top(folder)
    for name, content in contents(file, under).items():
        path = folder / name
        if path.parent != folder and not path.parent.is_dir():
            path.parent.mkdir()
            sync(folder)
        put(path, content, part)


def remove(folder: Path, file: PatchFile, part: Path) -> None:
    """Take the patch's files away, and give back those of the patch under it. Doing it again changes nothing more."""
    held, under = applied(folder), below.top(folder)
    if under is not None and held in (file.digest, applied(under)):
        below.give_back(folder, under, _ALL, part)
    elif held in (None, file.digest):
        for name in contents(file):
            (folder / name).unlink(missing_ok=True)
        under = None
    else:  # all was given back before a kill
        under = None
    adapter = folder / ADAPTER
    if file.meta.adapter is not None and adapter.is_dir() and not any(adapter.iterdir()):
        adapter.rmdir()
    sync(folder)
    below.forget(folder, under)
    sync(folder)
