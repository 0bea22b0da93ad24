"""Files by their content: each is named by its SHA-256, whole or not there, and never twice."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from zogan.config import masked
from zogan.disk import sync
from zogan.errors import ConfigError, IntegrityError

_CHUNK = 2**20
_NAME = re.compile(r"[0-9a-f]{64}")

LEFT_OUT = "the file is not held here: the archive that brought its event left it out"
"""What `Blobs.fault` says of a file that was never here; any other is missing, or damaged."""

_MARK = ".left-out"


class Blobs:
    """A place for files, through fsspec.

    Args:
        url: a local folder, or what fsspec knows, such as `s3://BUCKET/PREFIX`.

    Raises:
        ConfigError: nothing installed serves such a URL.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        try:
            self._files, root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise ConfigError(
                " ".join(str(error).replace(url, masked(url)).split()),
                where="registry.blobs",
                todo="Install what serves it, such as s3fs",
            ) from None
        self.url, self._root = masked(url), str(root).rstrip("/")
        self._local = "file" in _protocols(self._files)

    def put(self, content: bytes | Path) -> str:
        """Keep a file.

        Returns:
            Its SHA-256, in hex, once its bytes are safe.
        """
        digest = _digest(content)
        place = self._place(digest)
        if self._files.exists(place):
            return digest
        # A process that dies leaves this behind, which gc removes.
        partial = f"{place}.{os.getpid()}.partial"
        self._files.makedirs(place.rpartition("/")[0], exist_ok=True)
        sha = hashlib.sha256()
        with self._files.open(partial, "wb") as stream:
            for chunk in _chunks(content):
                sha.update(chunk)
                stream.write(chunk)
            if self._local:
                stream.flush()
                os.fsync(stream.fileno())
        if sha.hexdigest() != digest:
            self._files.rm(partial)
            raise IntegrityError("changed while it was read", where=str(content), todo="Try again once it is at rest")
        if self._local:
            Path(partial).replace(place)
            sync(Path(place).parent)
            sync(Path(self._root))
        else:
            self._files.mv(partial, place)
        if self._files.exists(place + _MARK):
            self._files.rm(place + _MARK)
        return digest

    def get(self, digest: str) -> bytes:
        """A file's bytes.

        Raises:
            IntegrityError: it is not there, or is not what it was.
        """
        try:
            content: bytes = self._files.cat_file(self._place(digest))
        except FileNotFoundError:
            content = b""
        if hashlib.sha256(content).hexdigest() != digest:
            raise IntegrityError(self.fault(digest) or "was changed", where=f"{self.url}: {digest[:12]}")
        return content

    def fault(self, digest: str) -> str | None:
        """What is wrong with a file; None where it is whole."""
        try:
            with self._files.open(self._place(digest), "rb") as stream:
                whole = _hash(stream) == digest
        except FileNotFoundError:
            return LEFT_OUT if self.left_out(digest) else "the file is missing"
        except OSError as error:
            return f"the file cannot be read: {error.strerror}"
        return None if whole else "the file is not what it was"

    def holds(self, digest: str) -> bool:
        """Whether a file is there, be it whole or not."""
        found: bool = self._files.exists(self._place(digest))
        return found

    def left_out(self, digest: str) -> bool:
        """Whether a file was never here: it was left out of the archive that brought its event."""
        return not self.holds(digest) and bool(self._files.exists(self._place(digest) + _MARK))

    def leave_out(self, digest: str) -> None:
        """Note that a file which events name is not held here; once it is put, it is."""
        if not self.holds(digest):
            place = self._place(digest)
            self._files.makedirs(place.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(place + _MARK, b"")

    def names(self) -> Iterator[tuple[str, str, datetime | None]]:
        """All that lies there: path, SHA-256 (empty where it is a part of one), and since when."""
        if not self._files.exists(self._root):
            return
        for path, about in sorted(self._files.find(self._root, detail=True).items()):
            name = "".join(path.removesuffix(_MARK).split("/")[-2:])
            yield path, name if _NAME.fullmatch(name) else "", _since(about)

    def remove(self, path: str) -> int:
        """Delete a file that `names` gave.

        Returns:
            Its bytes.
        """
        size = int(self._files.size(path) or 0)
        self._files.rm(path)
        return size

    def _place(self, digest: str) -> str:
        if not _NAME.fullmatch(digest):
            raise IntegrityError(f"{digest[:80]!r} is no SHA-256", where=self.url)
        return f"{self._root}/{digest[:2]}/{digest[2:]}"


def _protocols(files: Any) -> tuple[str, ...]:
    return (files.protocol,) if isinstance(files.protocol, str) else tuple(files.protocol)


def _digest(content: bytes | Path) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as stream:
        return _hash(stream)


def _hash(stream: Any) -> str:
    sha = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        sha.update(chunk)
    return sha.hexdigest()


def _chunks(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _since(about: dict[str, Any]) -> datetime | None:
    found = about.get("mtime", about.get("LastModified", about.get("created")))
    if isinstance(found, int | float):
        return datetime.fromtimestamp(found).astimezone()
    return found if isinstance(found, datetime) else None
