"""What is written is on the disk when it is said to be, and whole or not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put(path: Path, content: bytes, part: Path) -> None:
    """Write a file whole or not at all, through `part` on the same disk."""
    part.write_bytes(content)
    sync(part)
    part.replace(path)
    sync(path.parent)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Make a folder whole or not at all.

    A process that dies leaves `FOLDER.partial` behind, which the next one with the same name removes.

    Args:
        folder: that is not there yet.

    Yields:
        An empty folder beside it. What stands in it at the end gets the name, its own files and folders on the disk by
        then (what lies in the folders is their writer's to sync); after an error all of it is removed.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    try:
        yield partial
        for path in partial.iterdir():
            sync(path)
        sync(partial)
        partial.rename(folder)
        sync(folder.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
