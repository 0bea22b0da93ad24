"""Write a patch file tensor by tensor: one tensor's entries are in memory, the others wait on the disk."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from zogan.disk import sync
from zogan.errors import ZoganError
from zogan.patch.change import Change, raw
from zogan.patch.disk import room
from zogan.patch.format import BLANK, DIGEST, DTYPE_NAMES, layout, metadata_of, order
from zogan.patch.meta import PatchMeta
from zogan.patch.positions import encode

_CHUNK = 16 * 2**20  # bytes
_SLACK = 2**20  # bytes for the header


class PatchWriter:
    """Takes a patch's tensors in any order, then writes the file in its one form. Made by `writing`.

    Args:
        path: the file to come.
        waiting: a scratch file for what was taken so far; beside it, so that the disk's room is the same.
    """

    def __init__(self, path: Path, waiting: IO[bytes]) -> None:
        self._path, self._waiting = path, waiting
        self._specs: dict[str, tuple[str, tuple[int, ...]]] = {}
        self._spans: dict[str, tuple[int, int]] = {}  # start and length in the scratch file, bytes
        self._end = 0

    def add(self, name: str, change: Change) -> None:
        """Take what changes in one tensor of the base."""
        code = bytearray(encode(change.positions))
        self._take(f"positions/{name}", torch.frombuffer(code, dtype=torch.uint8))
        self._take(f"old/{name}", change.old)
        self._take(f"new/{name}", change.new)

    def add_whole(self, prefix: str, name: str, tensor: Tensor) -> None:
        """Take a tensor that is stored whole: `prefix` is "tensor" or "adapter"."""
        self._take(f"{prefix}/{name}", tensor)

    def finish(self, meta: PatchMeta) -> str:
        """Write the file under a temporary name, wait until it is on the disk, and rename it.

        Returns: the patch's digest.
        """
        room(self._path.parent, self._end + _SLACK)
        part = self._path.with_name(f".{self._path.name}.part")
        digest = hashlib.sha256()
        try:
            with part.open("wb") as stream:
                for chunk in self._chunks(meta):
                    stream.write(chunk)
                    digest.update(chunk)
                stream.seek(DIGEST)
                stream.write(digest.hexdigest().encode())
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(self._path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        sync(self._path.parent)
        return digest.hexdigest()

    def _take(self, key: str, tensor: Tensor) -> None:
        content = raw(tensor)
        self._specs[key] = (DTYPE_NAMES[tensor.dtype], tuple(tensor.shape))
        self._spans[key] = (self._end, len(content))
        self._waiting.seek(self._end)
        self._waiting.write(content)
        self._end += len(content)

    def _chunks(self, meta: PatchMeta) -> Iterator[bytes]:
        yield layout(self._specs, metadata_of(meta, BLANK))
        for key in order(self._specs):
            start, left = self._spans[key]
            self._waiting.seek(start)
            while left:
                chunk = self._waiting.read(min(left, _CHUNK))
                left -= len(chunk)
                yield chunk


@contextmanager
def writing(path: Path) -> Iterator[PatchWriter]:
    """A patch file to come. The scratch file has no name, so that a kill leaves none.

    Raises:
        ZoganError: the file exists, or its folder does not.
    """
    refuse_existing(path)
    with tempfile.TemporaryFile(dir=path.absolute().parent) as waiting:
        yield PatchWriter(path.absolute(), waiting)


def refuse_existing(path: Path) -> None:
    """Refuse a result's path before anything is read.

    Raises:
        ZoganError: it exists, or its folder does not.
    """
    if path.exists() or path.is_symlink():
        raise ZoganError("exists already", where=str(path), todo="Name a new one")
    if not path.absolute().parent.is_dir():
        raise ZoganError("no such folder", where=str(path.absolute().parent))
