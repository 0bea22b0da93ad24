"""One file that carries a registry: a zip archive, stored and not compressed, whose bytes its content alone decides.

It holds `events.jsonl` (envelopes, one a line), `blobs/ab/cdef…` (files by their SHA-256) and `manifest.json`.
Nothing is ever unpacked to a path that the archive names, and nothing is read beyond the bytes that the file has.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
import zipfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from zogan.errors import IntegrityError, one_line
from zogan.patch.meta import Sha256
from zogan.registry.database import RegistryError
from zogan.registry.envelope import Signed
from zogan.registry.event import LARGEST_BYTES, Count, Number
from zogan.registry.policy import Part, Role

MANIFEST, EVENTS = "manifest.json", "events.jsonl"

_BLOB = re.compile(r"blobs/([0-9a-f]{2})/([0-9a-f]{62})")
_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = (stat.S_IFREG | 0o644) << 16
_LARGEST_MANIFEST = 2**26
_LONGEST_LINE = LARGEST_BYTES * 4 // 3 + 2**12
_CHUNK = 2**20

_BROKEN = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    NotImplementedError,
    ValueError,
    EOFError,
    struct.error,
    RuntimeError,
)


class Key(Part):
    """A person whom the log enrols, as of its head; `revoked` is the event that took the key out of use."""

    keyid: Sha256
    public: Sha256
    name: str
    roles: tuple[Role, ...]
    revoked: Number | None


class Manifest(Part):
    """What an archive holds.

    Attributes:
        registry: its id.
        head: the last event, as `zogan registry head` prints it.
        events, size, sha256: how many there are; bytes and hash of their text.
        keys: everyone, for people to read; the events are what counts.
        patches: whose files it holds, where it does not hold all.
        blobs: bytes of each file, by SHA-256.
    """

    format: Literal[1] = 1
    registry: str
    head: str
    events: Count
    size: Count
    sha256: Sha256
    keys: tuple[Key, ...]
    patches: tuple[Sha256, ...] | None
    blobs: dict[Sha256, Count]

    def dumps(self) -> bytes:
        """Canonical JSON."""
        import rfc8785

        return rfc8785.dumps(self.model_dump(mode="json"))


class Writer:
    """An archive that is being written."""

    def __init__(self, stream: Any) -> None:
        self._zip = zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED)

    def events(self, envelopes: Iterable[Signed]) -> tuple[int, str]:
        """Write all events.

        Returns:
            Bytes and SHA-256 of their text.
        """
        size, sha = 0, hashlib.sha256()
        with self._zip.open(_member(EVENTS), "w", force_zip64=True) as stream:
            for envelope in envelopes:
                line = envelope.dumps() + b"\n"
                size += stream.write(line)
                sha.update(line)
        return size, sha.hexdigest()

    def blob(self, digest: str, content: bytes) -> None:
        """Write a file."""
        self._zip.writestr(_member(_place(digest)), content)

    def manifest(self, manifest: Manifest) -> None:
        """Write what it holds."""
        self._zip.writestr(_member(MANIFEST), manifest.dumps())

    def close(self) -> None:
        """Write the directory at its end."""
        self._zip.close()


@contextmanager
def written(file: Path) -> Iterator[Writer]:
    """Inside, a new archive is written; it lies there whole, or not at all.

    Raises:
        RegistryError: the file is there.
    """
    if file.exists():
        raise RegistryError("exists already", where=str(file), todo="Name a new file")
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as stream:
            writer = Writer(stream)
            try:
                yield writer
            finally:
                writer.close()
            stream.flush()
            os.fsync(stream.fileno())
        partial.rename(file)
    finally:
        partial.unlink(missing_ok=True)


class Archive:
    """An archive that is read. Whatever it holds, it is told as damaged or read as it says.

    Args:
        file: that `zogan registry export` wrote.

    Raises:
        RegistryError: no such file.
        IntegrityError: it is no archive of a registry, or holds anything that none has: other names, links, a name
            twice, compressed parts, lengths beyond the file.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        if not file.is_file():
            raise RegistryError("no such file", where=str(file))
        with self._reading():
            self._stream = file.open("rb")
            try:
                self._zip = zipfile.ZipFile(self._stream)
                self._members = self._named(os.fstat(self._stream.fileno()).st_size)
                self.manifest = self._manifest()
            except BaseException:
                self._stream.close()
                raise

    def envelopes(self) -> Generator[Signed, None, None]:
        """All events, the first first.

        Raises:
            IntegrityError: they are not those of the manifest.
        """
        size, count, sha = 0, 0, hashlib.sha256()
        with self._reading(), self._zip.open(self._members[EVENTS]) as stream:
            while line := stream.readline(_LONGEST_LINE):
                size, count = size + len(line), count + 1
                sha.update(line)
                if not line.endswith(b"\n") or count > self.manifest.events:
                    raise self.wrong(f"holds an event that is cut or too long, behind event {count - 1:,}")
                yield Signed.loads(line[:-1])
        if (size, count, sha.hexdigest()) != (self.manifest.size, self.manifest.events, self.manifest.sha256):
            raise self.wrong("its events are not those of its manifest")

    def blob(self, digest: str) -> bytes:
        """A file.

        Raises:
            IntegrityError: it is not there, or is not what its name says.
        """
        info = self._members.get(_place(digest))
        if info is None:
            raise self.wrong(f"lacks the file {digest[:12]}")
        content = self._bytes(info)
        if hashlib.sha256(content).hexdigest() != digest:
            raise self.wrong(f"the file {digest[:12]} is not what its name says")
        return content

    def check(self, digest: str) -> None:
        """Hash a file.

        Raises:
            IntegrityError: it is not there, or is not what its name says.
        """
        info, sha = self._members.get(_place(digest)), hashlib.sha256()
        if info is None:
            raise self.wrong(f"lacks the file {digest[:12]}")
        with self._reading(), self._zip.open(info) as stream:
            while chunk := stream.read(_CHUNK):
                sha.update(chunk)
        if sha.hexdigest() != digest:
            raise self.wrong(f"the file {digest[:12]} is not what its name says")

    def wrong(self, what: str) -> IntegrityError:
        """It is damaged, or hostile."""
        return IntegrityError(f"{what}; nothing was taken from it", where=str(self._file))

    def _named(self, size: int) -> dict[str, zipfile.ZipInfo]:
        found: dict[str, zipfile.ZipInfo] = {}
        left = size
        for info in self._zip.infolist():
            name = info.orig_filename
            shown = ascii(name[:80])
            if name not in (MANIFEST, EVENTS) and not _BLOB.fullmatch(name):
                raise self.wrong(f"holds {shown}, which no archive of a registry does")
            if name in found:
                raise self.wrong(f"holds {shown} twice")
            if info.external_attr != _MODE or info.flag_bits:
                raise self.wrong(f"holds {shown} as something else than a plain file")
            left -= info.file_size
            if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or left < 0:
                raise self.wrong(f"{shown} is compressed, or longer than the file that holds it")
            found[name] = info
        for name in (MANIFEST, EVENTS):
            if name not in found:
                raise self.wrong(f"is no archive of a registry: it has no {name}")
        return found

    def _manifest(self) -> Manifest:
        info = self._members[MANIFEST]
        if info.file_size > _LARGEST_MANIFEST:
            raise self.wrong("its manifest is too large")
        content = self._bytes(info)
        try:
            found = Manifest.model_validate_json(content)
            same = found.dumps() == content
        except (ValueError, RecursionError):
            same = False
        if not same:
            raise self.wrong("its manifest cannot be read")
        blobs = {_place(digest): size for digest, size in found.blobs.items()}
        there = {name: one.file_size for name, one in self._members.items() if name not in (MANIFEST, EVENTS)}
        if blobs != there:
            raise self.wrong("its files are not those of its manifest")
        return found

    def _bytes(self, info: zipfile.ZipInfo) -> bytes:
        with self._reading(), self._zip.open(info) as stream:
            return stream.read()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Inside, whatever the zip format's reader stumbles over is a damaged archive."""
        try:
            yield
        except _BROKEN as error:
            raise self.wrong(f"cannot be read: {one_line(error)[:200]}") from None

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ValueError):
            self._zip.close()
        self._stream.close()


def _place(digest: str) -> str:
    return f"blobs/{digest[:2]}/{digest[2:]}"


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    info.create_system, info.external_attr = 3, _MODE
    return info
