"""Writing that survives a kill: locks that leave no file, files that are whole or not there, bytes in place."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from jaxtyping import Int64, Shaped
from torch import Tensor

from zogan.errors import RunError
from zogan.patch.change import bits
from zogan.weights import TensorInfo

_WINDOW = 2**20  # bytes read, changed and written back at once


@contextmanager
def locked(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a folder against other zogan commands; readers (`shared`) do not shut each other out.

    The lock is on the folder itself: it leaves no file behind, needs no right to write, and ends with the process.

    Raises:
        RunError: another command holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                "another zogan command is at work here", where=str(folder), todo="Wait for its end"
            ) from None
        except OSError as error:
            if not shared:
                raise RunError(
                    f"its file system cannot be locked ({error.strerror})", where=str(folder), todo="Write a new folder"
                ) from None
        yield
    finally:
        os.close(descriptor)


def overwrite(info: TensorInfo, positions: Int64[Tensor, " n"], values: Shaped[Tensor, " n"]) -> None:
    """Write values into a tensor of a safetensors file, in place. Doing it again changes nothing more."""
    places: npt.NDArray[np.int64] = positions.numpy()
    new = bits(values).numpy()
    width = values.dtype.itemsize
    descriptor = os.open(info.file, os.O_RDWR | os.O_NOFOLLOW)
    try:
        done = 0
        while done < len(places):
            first = int(places[done])
            stop = int(np.searchsorted(places, first + _WINDOW // width))
            count = int(places[stop - 1]) - first + 1
            at = info.start + first * width
            window = np.frombuffer(bytearray(_read(descriptor, count * width, at, info)), dtype=new.dtype)  # (count,)
            window[places[done:stop] - first] = new[done:stop]
            _write(descriptor, window.view(np.uint8).data, at)
            done = stop
    finally:
        os.close(descriptor)


def room(folder: Path, needed: int) -> None:
    """Refuse before anything is written where the disk has less than `needed` bytes free.

    Raises:
        RunError: with both figures.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise RunError(
            f"too little disk: {needed / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free", where=str(folder)
        )


def _read(descriptor: int, length: int, at: int, info: TensorInfo) -> bytes:
    parts: list[bytes] = []
    while length:
        part = os.pread(descriptor, length, at)
        if not part:
            raise RunError("the file became shorter while it was written", where=str(info))
        parts.append(part)
        length, at = length - len(part), at + len(part)
    return b"".join(parts)


def _write(descriptor: int, data: memoryview, at: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, at)
        data, at = data[written:], at + written
