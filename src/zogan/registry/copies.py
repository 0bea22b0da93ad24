"""A copy of a registry in a folder: the events as signed envelopes, one a line, and the files that they name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zogan.disk import new_folder
from zogan.errors import IntegrityError
from zogan.progress import Progress, Silent
from zogan.registry.blobs import Blobs
from zogan.registry.database import Database, RegistryError
from zogan.registry.envelope import Signed
from zogan.registry.event import ORIGIN, Added, Event, parse
from zogan.registry.log import Head, begun, envelopes, write
from zogan.registry.projection import Tables
from zogan.registry.replay import Replay
from zogan.registry.tensors import put_list

EVENTS, FILES, HEAD = "events.jsonl", "blobs", "head"


@dataclass(frozen=True)
class Copied:
    """What a copy holds."""

    folder: Path
    events: int
    blobs: int
    head: Head


def backup(database: Database, blobs: Blobs, folder: Path, *, progress: Progress = Silent()) -> Copied:
    """Write a copy into a new folder, whole or not at all. The registry may be written meanwhile.

    Raises:
        RegistryError: the folder is there.
        IntegrityError: a file of the registry is missing or changed.
    """
    if folder.exists():
        raise RegistryError("exists already", where=str(folder), todo="Name a new folder")
    named: dict[str, None] = {}
    head = Head(0, ORIGIN)
    with new_folder(folder) as partial:
        with database.reading() as connection, (partial / EVENTS).open("wb") as stream:
            for count, envelope in enumerate(envelopes(connection), 1):
                stream.write(envelope.dumps() + b"\n")
                named |= dict.fromkeys(_parsed(envelope, count).blobs.values())
                head = Head(count, envelope.hash)
        copy = Blobs(str(partial / FILES))
        progress.start("backup", len(named))
        for count, digest in enumerate(named, 1):
            _hand_on(digest, blobs, copy)
            progress.advance(count)
        (partial / HEAD).write_text(f"{head}\n", encoding="utf-8")
    return Copied(folder, head.number, len(named), head)


def restore(folder: Path, database: Database, blobs: Blobs, *, progress: Progress = Silent()) -> Copied:
    """Make a registry from a copy: every event is proved again on the way in.

    Args:
        folder: that `backup` wrote.
        database: without events.
        blobs: where the files go.
        progress: told how far it is.

    Raises:
        RegistryError: no copy, or the database holds a registry.
        IntegrityError: the copy is damaged; no event was written.
    """
    for name in (EVENTS, HEAD):
        if not (folder / name).is_file():
            raise RegistryError(f"is no copy of a registry: it has no {name}", where=str(folder))
    wanted = Head.parse((folder / HEAD).read_text(encoding="utf-8"))
    copy = Blobs(str(folder / FILES))
    database.make()
    progress.start("restore", wanted.number)
    named: dict[str, None] = {}
    with database.writing() as connection, Replay(Tables(connection), os.cpu_count() or 1) as replay:
        if begun(connection):
            raise RegistryError("the database holds a registry already", todo="Restore into another, with --url")
        for line in _lines(folder / EVENTS):
            envelope = Signed.loads(line)
            event = replay.take(envelope)
            write(connection, event, envelope)
            if isinstance(event.body, Added):
                put_list(connection, event.body.blobs["tensors"], copy.get)
            named |= dict.fromkeys(event.blobs.values())
            if not event.number % 100:
                progress.advance(event.number)
        replay.done()
        head = replay.head
        if head != wanted:
            raise IntegrityError(f"ends with {head}, and its head is {wanted}", where=str(folder / EVENTS))
        progress.start("blobs", len(named))
        for count, digest in enumerate(named, 1):
            _hand_on(digest, copy, blobs)
            progress.advance(count)
    return Copied(folder, head.number, len(named), head)


def _hand_on(digest: str, source: Blobs, target: Blobs) -> None:
    """Copy a file, or the word that it was left out.

    Raises:
        IntegrityError: it is missing or changed.
    """
    if source.left_out(digest):
        target.leave_out(digest)
    else:
        target.put(source.get(digest))


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        for line in stream:
            yield line.rstrip(b"\n")


def _parsed(envelope: Signed, number: int) -> Event:
    try:
        return parse(envelope.payload)
    except (ValueError, RecursionError):
        raise IntegrityError("is no event that this zogan reads", where=f"event {number:,}") from None
