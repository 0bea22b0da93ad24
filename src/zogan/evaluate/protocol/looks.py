"""Each look at the test rows is counted: looks.jsonl, which is only ever added to."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from zogan.errors import IntegrityError
from zogan.patch.meta import Sha256, canonical

NAME = "looks.jsonl"


class Look(BaseModel):
    """A patch that was measured on the test rows.

    Attributes:
        at: UTC, ISO 8601.
        patch: its digest.
        command: that measured it.
        test: SHA-256 of the test rows, as `Sample` has it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: str
    patch: Sha256
    command: str
    test: Sha256


def add_look(path: Path, look: Look) -> None:
    """Write a look behind those that are there, and wait until it is on the disk.

    What a killed process left of a line is taken off first: its figures were never shown.

    Args:
        path: looks.jsonl; made where absent.
        look: what was looked at.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "r+b") as stream:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        stream.seek(0)
        whole, torn = _halves(stream.read())
        line = canonical(look.model_dump(mode="json")).encode() + b"\n"
        if torn and _parsed(torn):  # all but its line end
            line = b"\n" + line
        elif torn:
            stream.truncate(len(whole))
        stream.write(line)
        stream.flush()
        os.fsync(descriptor)


def looks(path: Path) -> tuple[Look, ...]:
    """The looks in a file, the first first; none where there is no file. A torn last line is no look.

    Raises:
        IntegrityError: a line before the last is damaged.
    """
    return tuple(_read(path))


def count_looks(path: Path, test: str) -> int:
    """How often a patch was measured on the test rows with this SHA-256."""
    return sum(look.test == test for look in _read(path))


def _read(path: Path) -> Iterator[Look]:
    if not path.is_file():
        return
    whole, torn = _halves(path.read_bytes())
    for number, line in enumerate(whole.splitlines(), 1):
        look = _parsed(line)
        if look is None:
            raise IntegrityError("is damaged", where=f"{path}:{number}", todo="Put the file back from a copy")
        yield look
    if torn and (last := _parsed(torn)):
        yield last


def _halves(content: bytes) -> tuple[bytes, bytes]:
    """Whole lines, and what stands behind the last line end."""
    end = content.rfind(b"\n") + 1
    return content[:end], content[end:]


def _parsed(line: bytes) -> Look | None:
    try:
        return Look.model_validate_json(line)
    except ValueError:
        return None
