"""Between sites: a registry in one file, and what a site without a network takes from it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from zogan.errors import IntegrityError
from zogan.progress import Progress, Silent
from zogan.registry.archive import Archive, Key, Manifest, written
from zogan.registry.blobs import Blobs
from zogan.registry.database import Database, RacedError, RegistryError
from zogan.registry.envelope import Signed
from zogan.registry.event import Added, Begun, Event, parse
from zogan.registry.log import Head, OvertakenError, begun, envelopes, write
from zogan.registry.log import head as last_of
from zogan.registry.projection import Tables
from zogan.registry.replay import Replay
from zogan.registry.rules import RefusedError, advance
from zogan.registry.state import Memory
from zogan.registry.tensors import listed, put_list

SHOWN = 50
"""Events of each side that are shown where two registries diverged."""


@dataclass(frozen=True)
class Exported:
    """What an archive holds; `left_out` counts the files that events name and that it does not hold."""

    file: Path
    registry: str
    head: Head
    events: int
    blobs: int
    left_out: int
    bytes: int


@dataclass(frozen=True)
class Imported:
    """What came from an archive.

    Attributes:
        registry: its id.
        archive: the archive's head.
        head: of the registry here, as it is now.
        events, blobs: that were added.
        left_out: files that events name, and that neither the archive nor this registry holds.
    """

    registry: str
    archive: Head
    head: Head
    events: int
    blobs: int
    left_out: int


@dataclass(frozen=True)
class Side:
    """What one of two registries has behind the events that both have: how many, the first `SHOWN`, names by keyid."""

    count: int
    events: tuple[Event, ...]
    names: dict[str, str]


class DivergedError(RegistryError):
    """Two registries that both went on behind the same event; nothing was written.

    Attributes:
        common: the last event that both have; None where they are two registries.
        here, there: what the registry and the archive have since.
    """

    exit_code = 3

    def __init__(self, common: Head | None, here: Side, there: Side) -> None:
        self.common, self.here, self.there = common, here, there
        what = (
            "it is another registry than the one here"
            if common is None
            else f"both went on behind event {common.number:,}: by {here.count:,} here, by {there.count:,} there"
        )
        super().__init__(f"{what}; nothing was taken", todo="Import into another place, and add there what is missing")


def export(
    database: Database,
    blobs: Blobs,
    file: Path,
    *,
    patches: Collection[str] | None = None,
    processes: int = 1,
    progress: Progress = Silent(),
) -> Exported:
    """Write an archive, whole or not at all. Every event is proved on the way; the registry may be written meanwhile.

    Args:
        database: of the registry.
        blobs: its files.
        file: is made.
        patches: digests of those whose files go along, with their evidence; all, where absent. All events always do,
            and the lists of tensors.
        processes: that check signatures.
        progress: told how far it is.

    Raises:
        RegistryError: the file is there, or a patch is not held here.
        IntegrityError: the log or a file is not what it was.
    """
    named: dict[str, bool] = {}  # whether it goes along
    first: list[str] = []
    view = Memory()

    def proved(connection: Connection, replay: Replay) -> Iterator[Signed]:
        for envelope in envelopes(connection):
            event = replay.take(envelope)
            if isinstance(event.body, Begun):
                first.append(event.body.registry)
            chosen = patches is None or event.patch in patches
            for what, digest in event.blobs.items():
                named[digest] = named.get(digest, False) or chosen or what == "tensors"
            progress.advance(event.number)
            yield envelope
        replay.done()

    with database.reading() as connection, Replay(view, processes) as replay, written(file) as archive:
        found = last_of(connection)
        progress.start("export", 0 if found is None else found.number)
        size, sha = archive.events(proved(connection, replay))
        sizes: dict[str, int] = {}
        progress.start("blobs", len(named))
        for count, (digest, goes) in enumerate(sorted(named.items()), 1):
            if goes and (patches is not None or not blobs.left_out(digest)):
                content = blobs.get(digest)
                archive.blob(digest, content)
                sizes[digest] = len(content)
            progress.advance(count)
        people = sorted(view.people().values(), key=lambda one: one.number)
        keys = (
            Key(keyid=one.keyid, public=one.public, name=one.name, roles=one.roles, revoked=one.revoked)
            for one in people
        )
        manifest = Manifest(
            registry=first[0],
            head=str(replay.head),
            events=replay.head.number,
            size=size,
            sha256=sha,
            keys=tuple(keys),
            patches=None if patches is None else tuple(sorted(patches)),
            blobs=sizes,
        )
        archive.manifest(manifest)
    left_out = len(named) - len(sizes)
    return Exported(file, manifest.registry, replay.head, replay.head.number, len(sizes), left_out, file.stat().st_size)


def bring(
    file: Path,
    database: Database,
    blobs: Blobs,
    *,
    wanted: Collection[Head] = (),
    processes: int = 1,
    progress: Progress = Silent(),
) -> Imported:
    """Take from an archive what is new. All of it is proved before a byte is written.

    Args:
        file: that `export` wrote.
        database: without a registry, or with one whose log begins the archive's, or goes on behind it.
        blobs: where the files go.
        wanted: heads that the archive must lead to.
        processes: that check signatures.
        progress: told how far it is.

    Raises:
        IntegrityError: the archive is damaged, hostile or forged, or does not lead to `wanted`.
        DivergedError: this registry and the archive's both went on, or are two.
        OvertakenError: someone wrote here meanwhile.
    """
    with Archive(file) as archive:
        named, lists = _prove(archive, wanted, processes, progress)
        head = Head.parse(archive.manifest.head)
        here = _compared(archive, database)
        held = {digest for digest in named if blobs.holds(digest)}
        new = [digest for digest in archive.manifest.blobs if digest not in held]
        progress.start("blobs", len(new))
        for count, digest in enumerate(new, 1):
            blobs.put(archive.blob(digest))
            progress.advance(count)
        left_out = named - held - archive.manifest.blobs.keys()
        for digest in sorted(left_out):
            blobs.leave_out(digest)
        after, before = max(here or head, head, key=lambda one: one.number), 0 if here is None else here.number
        if head.number > before:
            database.make()
            _write(archive, database, here, lists, progress)
        return Imported(archive.manifest.registry, head, after, max(0, head.number - before), len(new), len(left_out))


def empty(database: Database) -> bool:
    """Whether it holds no registry yet."""
    if not database.made:
        return True
    database.renew()
    with database.reading() as connection:
        return not begun(connection)


def _prove(
    archive: Archive, wanted: Collection[Head], processes: int, progress: Progress
) -> tuple[set[str], dict[str, bytes]]:
    """That all of an archive is what was signed.

    Returns:
        Every file that an event names, and the lists of tensors.
    """
    manifest, view = archive.manifest, Memory()
    named: set[str] = set()
    lists: dict[str, bytes] = {}
    missing = set(wanted)
    first: Event | None = None
    progress.start("prove", manifest.events)
    with Replay(view, processes) as replay:
        for envelope in archive.envelopes():
            event = replay.take(envelope)
            first = first or event
            named |= set(event.blobs.values())
            if isinstance(event.body, Added):
                key = event.body.blobs["tensors"]
                lists[key] = lists.get(key) or archive.blob(key)
            missing.discard(replay.head)
            progress.advance(event.number)
        replay.done()
    for key, content in lists.items():
        listed(key, content)
    if first is None or not isinstance(first.body, Begun) or first.body.registry != manifest.registry:
        raise archive.wrong("its first event does not begin the registry that its manifest names")
    if str(replay.head) != manifest.head:
        raise archive.wrong(f"ends with {replay.head}, and its manifest says {manifest.head[:80]}")
    if missing:
        raise archive.wrong(f"does not lead to the head that was kept, {str(min(missing, key=str))[:24]}…")
    people = [(one.keyid, one.public, one.name, one.roles, one.revoked) for one in view.people().values()]
    if sorted(people) != sorted((one.keyid, one.public, one.name, one.roles, one.revoked) for one in manifest.keys):
        raise archive.wrong("its manifest names other people than its events")
    if strangers := manifest.blobs.keys() - named:
        raise archive.wrong(f"holds the file {min(strangers)[:12]}, which no event names")
    progress.start("files", len(manifest.blobs))
    for count, digest in enumerate(manifest.blobs, 1):
        archive.check(digest)
        progress.advance(count)
    return named, lists


def _compared(archive: Archive, database: Database) -> Head | None:
    """The head here; None where there is no registry.

    Raises:
        DivergedError: neither log begins the other.
    """
    if empty(database):
        return None
    with database.reading() as connection:
        found = last_of(connection)
        common: Head | None = None
        with closing(envelopes(connection)) as mine, closing(archive.envelopes()) as theirs:
            for number, (one, other) in enumerate(zip_longest(mine, theirs), 1):
                if one is None or other is None:
                    break
                hashed = _hashed(one, number)
                if hashed != other.hash:
                    there = _side(other, theirs, number - 1, {key.keyid: key.name for key in archive.manifest.keys})
                    us = _side(one, mine, number - 1, {})
                    names = {person.keyid: person.name for person in Tables(connection).people().values()}
                    raise DivergedError(common, replace(us, names=names), there)
                common = Head(number, hashed)
        return found


def _write(
    archive: Archive, database: Database, here: Head | None, lists: dict[str, bytes], progress: Progress
) -> None:
    """Add the events that are new, in one transaction."""
    before, total = 0 if here is None else here.number, archive.manifest.events
    progress.start("import", total - before)
    try:
        with database.writing() as connection:
            if last_of(connection) != here:
                raise OvertakenError("others wrote here meanwhile; no event was added", todo="Import it again")
            view, last = Tables(connection), ""
            for number, envelope in enumerate(archive.envelopes(), 1):
                last = envelope.hash
                if number <= before:
                    continue
                event = parse(envelope.payload)
                advance(event, view)
                write(connection, event, envelope)
                if isinstance(event.body, Added):
                    put_list(connection, event.body.blobs["tensors"], lists.__getitem__)
                progress.advance(number - before)
            if f"{total}:{last}" != archive.manifest.head:
                raise archive.wrong("was changed while it was read")
    except RefusedError as refused:
        raise IntegrityError(
            f"the tables here do not let in what the log permits: {refused.what}", todo="Run `zogan registry verify`"
        ) from None
    except RacedError:
        raise OvertakenError("others wrote here meanwhile; no event was added", todo="Import it again") from None
    except DBAPIError as error:
        line = " ".join(str(error.orig).split())
        raise RegistryError(f"the database did not take it; no event was added: {line}") from None


def _side(first: Signed, rest: Iterator[Signed], behind: int, names: dict[str, str]) -> Side:
    """What one of two registries has behind an event, beginning with `first`."""
    events, count = [], 0
    for count, envelope in enumerate(chain([first], rest), 1):
        if count <= SHOWN:
            try:
                events.append(parse(envelope.payload))
            except (ValueError, TypeError, RecursionError):
                raise _damaged(behind + count) from None
    return Side(count, tuple(events), names)


def _hashed(envelope: Signed, number: int) -> str:
    """Of an event here, whatever its row holds."""
    try:
        return envelope.hash
    except (TypeError, AttributeError, UnicodeError):
        raise _damaged(number) from None


def _damaged(number: int) -> IntegrityError:
    return IntegrityError("is damaged here", where=f"event {number:,}", todo="Run `zogan registry verify`")
