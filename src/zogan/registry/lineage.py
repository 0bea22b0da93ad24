"""Questions to the log, each through an index: a patch's life, a page, what stood where and why, who touched what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from zogan.errors import nearest
from zogan.registry import tables
from zogan.registry.database import RegistryError
from zogan.registry.event import Event, RolledBack
from zogan.registry.log import event_of, events_of
from zogan.registry.projection import Tables, read
from zogan.registry.state import AliasState, PatchState

SHORTEST = 4
"""Digits of a digest that name a patch."""

NAMED = 12
"""Digits of a digest that are shown."""

_FEW = 64
"""Lists of tensors that are asked one by one."""


@dataclass(frozen=True)
class Life:
    """A patch, its events in order, and the patches that were made from it."""

    patch: PatchState
    events: tuple[Event, ...]
    children: tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """What stood at an alias at a time, and why.

    Attributes:
        alias: its name.
        at: the time.
        moved: the event that put it there.
        patch: that stood there; None for the bare base.
        evidence: the evaluation that counted then; None for the bare base.
        approvals: that counted then.
        waivers: of the patch, until then.
        before: the event that put there what stood there before; None where nothing did.
    """

    alias: str
    at: str
    moved: Event
    patch: PatchState | None
    evidence: Event | None
    approvals: tuple[Event, ...]
    waivers: tuple[Event, ...]
    before: Event | None


def find(connection: Connection, given: str) -> PatchState:
    """A patch by its digest, the beginning of one, or an alias's name.

    Raises:
        RegistryError: none, or several, are known by that.
    """
    if "/" in given:
        alias = alias_of(connection, given)
        if alias.patch is None:
            raise RegistryError(f"{given} stands for the bare base, with no patch")
        given = alias.patch
    digest = given.lower()
    if len(digest) < SHORTEST or set(digest) - set("0123456789abcdef"):
        raise RegistryError(
            f"{given!r} names no patch",
            todo=f"Give {SHORTEST} or more digits of a digest, or an alias such as support/production",
        )
    at = tables.patches.c
    query = select(at.document).where(at.digest >= digest, at.digest < digest + "g").limit(2)
    found = connection.execute(query).scalars().all()
    if len(found) > 1:
        raise RegistryError(f"several patches begin with {given!r}", todo="Give more digits")
    if not found:
        raise RegistryError(f"no patch begins with {given!r}", todo="See `zogan registry show`")
    return read(PatchState, found[0])


def base_of(connection: Connection, given: str) -> str:
    """A base's fingerprint by its beginning.

    Raises:
        RegistryError: none, or several, are known by that.
    """
    at, digest = tables.patches.c, given.lower()
    query = select(at.base).distinct().where(at.base >= digest, at.base < digest + "g").limit(2)
    found = connection.execute(query).scalars().all()
    if len(found) != 1:
        what = f"several bases begin with {given!r}" if found else f"no patch is on a base {given!r}"
        raise RegistryError(what, todo="Give more digits" if found else "See `zogan registry show`")
    base: str = found[0]
    return base


def alias_of(connection: Connection, name: str) -> AliasState:
    """An alias by its name.

    Raises:
        RegistryError: there is none.
    """
    found = Tables(connection).alias(name)
    if found is None:
        known = [one.name for one in aliases(connection)]
        todo = nearest(name, known) if known else "Promote a patch there with `zogan registry promote`"
        raise RegistryError(f"no alias is called {name!r}", todo=todo)
    return found


def aliases(connection: Connection) -> list[AliasState]:
    """All of them, by name."""
    rows = connection.execute(select(tables.aliases.c.document).order_by(tables.aliases.c.name)).scalars()
    return [read(AliasState, row) for row in rows]


def life(connection: Connection, patch: PatchState) -> Life:
    """What became of a patch."""
    at = tables.entries.c
    numbers = connection.execute(select(at.number).where(at.patch == patch.digest).order_by(at.number)).scalars()
    moved = set(numbers) | _left(connection, patch)
    query = select(tables.patches.c.digest).where(tables.patches.c.parent == patch.digest)
    children = connection.execute(query.order_by(tables.patches.c.number).limit(100)).scalars()
    return Life(patch, tuple(events_of(connection, sorted(moved))), tuple(children))


def page(
    connection: Connection,
    *,
    limit: int,
    before: int | None = None,
    patch: str | None = None,
    alias: str | None = None,
) -> list[Event]:
    """The last events, the newest first.

    Args:
        connection: to the tables.
        limit: at most so many.
        before: only those with a smaller number: the next page begins where this one ended.
        patch: only those about it, by its whole digest.
        alias: only those that move it.
    """
    at = tables.entries.c
    query = select(at.number).order_by(at.number.desc()).limit(limit)
    for column, value in ((at.patch, patch), (at.alias, alias)):
        query = query if value is None else query.where(column == value)
    query = query if before is None else query.where(at.number < before)
    return events_of(connection, connection.execute(query).scalars().all())


def patches(
    connection: Connection,
    *,
    limit: int,
    before: int | None = None,
    base: str | None = None,
    stage: str | None = None,
) -> list[PatchState]:
    """The last patches, the newest first.

    Args:
        connection: to the tables.
        limit: at most so many.
        before: only those that were added before this event.
        base: only those of a base, by its whole digest.
        stage: only those at a stage.
    """
    at = tables.patches.c
    query = select(at.document).order_by(at.number.desc()).limit(limit)
    for column, value in ((at.base, base), (at.stage, stage)):
        query = query if value is None else query.where(column == value)
    query = query if before is None else query.where(at.number < before)
    return [read(PatchState, row) for row in connection.execute(query).scalars()]


def why(connection: Connection, alias: str, at: str) -> Standing:
    """What stood at an alias at a time, by whose word, and on what evidence.

    Raises:
        RegistryError: no such alias, or nothing stood there yet.
    """
    alias_of(connection, alias)
    moves = _moves(connection, alias, at, 2)
    if not moves:
        raise RegistryError(f"nothing stood at {alias} on {at}", todo=f"See `zogan registry log --alias {alias}`")
    moved = event_of(connection, moves[0])
    before = event_of(connection, moves[1]) if len(moves) > 1 else None
    if moved.patch is None:
        return Standing(alias, at, moved, None, None, (), (), before)
    patch = Tables(connection).patch(moved.patch)
    entries = tables.entries.c
    query = select(entries.number).where(entries.patch == moved.patch, entries.number <= moved.number)
    events = events_of(connection, connection.execute(query.order_by(entries.number)).scalars().all())
    evidence = next((one for one in reversed(events) if one.body.kind == "evaluate"), None)
    since = 0 if evidence is None else evidence.number
    approvals = tuple(one for one in events if one.body.kind == "approve" and one.number > since)
    waivers = tuple(one for one in events if one.body.kind == "waive")
    return Standing(alias, at, moved, patch, evidence, approvals, waivers, before)


def stood_before(connection: Connection, alias: AliasState) -> Event | None:
    """The last move that put there something else than what stands there now.

    A rollback goes back beyond what was rolled back itself, so that one after the other leads further back.
    """
    entries = tables.entries.c
    query = select(entries.number).where(entries.alias == alias.name, entries.number <= alias.since)
    trail: list[Event] = []
    undone: set[str | None] = set()
    for number in connection.execute(query.order_by(entries.number.desc()).limit(1000)).scalars():
        event = event_of(connection, number)
        if isinstance(event.body, RolledBack):
            undone.add(event.body.instead)
        trail.append(event)
        if event.patch != alias.patch and event.patch not in undone:
            return event
    return None


def touching(connection: Connection, tensor: str, *, limit: int, before: int | None = None) -> list[PatchState]:
    """The patches that touch a tensor, the newest first.

    Raises:
        RegistryError: no patch ever did.
    """
    lists, at = tables.tensors.c, tables.patches.c
    keys: Sequence[str] = connection.execute(select(lists.list).where(lists.tensor == tensor)).scalars().all()
    if not keys:
        raise RegistryError(f"no patch touches {tensor!r}", todo=_similar(connection, tensor))
    query = select(at.number, at.document).order_by(at.number.desc()).limit(limit)
    query = query if before is None else query.where(at.number < before)
    if len(keys) > _FEW:
        wanted = query.where(at.tensors.in_(select(lists.list).where(lists.tensor == tensor)))
        rows = list(connection.execute(wanted))
    else:  # the newest of each list, through the index, whatever patches it has
        rows = [row for key in keys for row in connection.execute(query.where(at.tensors == key))]
    newest = sorted(rows, key=lambda row: -row.number)[:limit]
    return [read(PatchState, row.document) for row in newest]


def touched(connection: Connection, key: str) -> frozenset[str]:
    """The tensors of a list."""
    at = tables.tensors.c
    return frozenset(connection.execute(select(at.tensor).where(at.list == key)).scalars())


def _moves(connection: Connection, alias: str, at: str, limit: int) -> list[int]:
    """Events that moved an alias up to a time, the newest first."""
    entries = tables.entries.c
    # Times rise with numbers: the last event up to the time bounds the search, however often the alias moved since.
    last = select(entries.number).where(entries.at <= at).order_by(entries.at.desc(), entries.number.desc()).limit(1)
    bound = connection.execute(last).scalar()
    if bound is None:
        return []
    query = select(entries.number).where(entries.alias == alias, entries.number <= bound)
    return list(connection.execute(query.order_by(entries.number.desc()).limit(limit)).scalars())


def _left(connection: Connection, patch: PatchState) -> set[int]:
    """Events that put something else in a patch's place."""
    entries, standings = tables.entries.c, tables.standings.c
    found: set[int] = set()
    for name in connection.execute(select(standings.alias).where(standings.patch == patch.digest)).scalars():
        mine = select(entries.number).where(entries.alias == name, entries.patch == patch.digest)
        for number in connection.execute(mine.order_by(entries.number.desc()).limit(100)).scalars():
            later = select(entries.number).where(entries.alias == name, entries.number > number)
            following = connection.execute(later.order_by(entries.number).limit(1)).scalar()
            found |= {following} if following is not None else set()
    return found


def _similar(connection: Connection, tensor: str) -> str:
    known = connection.execute(select(tables.tensors.c.tensor).distinct().limit(5000)).scalars().all()
    return nearest(tensor, known) if known and len(known) < 5000 else "Give a tensor's whole name"
