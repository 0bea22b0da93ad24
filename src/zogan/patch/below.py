"""What patches under the topmost put beside the weights, kept in the folder so that each can be taken back in turn."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from zogan.disk import put, sync
from zogan.errors import IntegrityError

BELOW = "zogan-below"

_PART = ".part"


def top(folder: Path) -> Path | None:
    """What the patch right under the topmost put there. They are named 1, 2, … from the lowest up.

    Raises:
        IntegrityError: something else is there.
    """
    kept = folder / BELOW
    if not kept.exists() and not kept.is_symlink():
        return None
    names = {path.name for path in kept.iterdir()} - {_PART} if _plain(kept) else {"?"}
    if names != {str(place) for place in range(1, len(names) + 1)} or not all(_plain(kept / name) for name in names):
        raise IntegrityError("is not what zogan put there", where=str(kept), todo="Take the folder from a backup")
    return kept / str(len(names)) if names else None


def keep(folder: Path, names: Iterable[str]) -> None:
    """Copy the topmost patch's files, by path in the folder, to where `top` finds them: all of them or none."""
    highest = top(folder)
    target = folder / BELOW / str(1 + (int(highest.name) if highest else 0))
    part = folder / BELOW / _PART
    if part.exists():  # by a killed command
        shutil.rmtree(part)
    part.mkdir(parents=True)
    for name in names:
        if (folder / name).is_file():
            (part / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(folder / name, part / name)
            sync(part / name)
            sync((part / name).parent)
    sync(part)
    part.rename(target)
    sync(folder / BELOW)
    sync(folder)


def give_back(folder: Path, highest: Path, names: Iterable[str], part: Path) -> None:
    """Put back what `keep` kept, file by file in the order of `names`. Doing it again changes nothing more."""
    for name in names:
        path = folder / name
        if (highest / name).is_file():
            path.parent.mkdir(exist_ok=True)
            put(path, (highest / name).read_bytes(), part)
        else:
            path.unlink(missing_ok=True)


def forget(folder: Path, highest: Path | None) -> None:
    """Remove what was put back. Doing it again changes nothing more."""
    kept = folder / BELOW
    if highest is not None:
        highest.rename(kept / _PART)
        sync(kept)
    if (kept / _PART).exists():
        shutil.rmtree(kept / _PART)
    if kept.is_dir() and not any(kept.iterdir()):
        kept.rmdir()


def _plain(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
