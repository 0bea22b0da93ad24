"""The tables against the state that the log leads to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Table, func, select

from zogan.registry import tables
from zogan.registry.candidate import dumps
from zogan.registry.checkpoint import Kept, line_of
from zogan.registry.projection import columns
from zogan.registry.rows import Row, batches
from zogan.registry.state import Memory, State


def compared(connection: Connection, memory: Memory, events: int) -> Iterator[str]:
    """Where the tables say something else than the log.

    Args:
        connection: to the tables.
        memory: what the log leads to.
        events: that it has.
    """
    count = connection.execute(select(func.count()).select_from(tables.entries)).scalar()
    if count != events:
        yield f"entries: {count:,} rows for {events:,} events"
    documents: list[tuple[Table, Mapping[Any, Any]]] = [
        (tables.people, {one.keyid: (one.keyid, one.model_dump_json()) for one in memory.people().values()}),
        (tables.policies, {number: (number, one.model_dump_json()) for number, one in memory.policies.items()}),
        (tables.aliases, {name: (name, _document(one)) for name, one in memory.aliases.items()}),
        (tables.standings, {key: (*key, number) for key, number in memory.standings.items()}),
    ]
    for table, wanted in documents:
        yield from _table(connection, table, wanted)
    yield from _patches(connection, memory)


def _patches(connection: Connection, memory: Memory) -> Iterator[str]:
    lines = memory.lines if isinstance(memory, Kept) else {}
    missing = lines.keys() | memory.patches.keys()
    lists = {one.tensors for one in memory}
    for row in chain.from_iterable(batches(connection, select(tables.patches))):
        if (line := lines.get(row[0])) is not None:
            same = _line(row) == line
            lists.add(row[5] if same else json.loads(line)[5])
        else:
            patch = memory.patches.get(row[0])
            same = patch is not None and row == tuple(columns(patch).values())
        missing.discard(row[0])
        if not same:
            yield f"patches: {str(row[0])[:12]} is not what the log says"
    if missing:
        yield f"patches: {len(missing):,} that the log has are missing"
        lists |= {json.loads(lines[digest])[5] for digest in missing & lines.keys()}
    yield from _lists(connection, lists)


def _line(row: Row) -> str | None:
    """A row as it would be kept; None of what no row of ours holds."""
    try:
        return line_of(row)
    except (TypeError, ValueError):
        return None


def _table(connection: Connection, table: Table, wanted: Mapping[Any, Any]) -> Iterator[str]:
    keys = len(table.primary_key.columns)
    there = set()
    for row in chain.from_iterable(batches(connection, select(table))):
        key = row[0] if keys == 1 else row[:keys]
        if wanted.get(key) != row:
            yield f"{table.name}: {key} is not what the log says"
        else:
            there.add(key)
    for key in wanted.keys() - there:
        yield f"{table.name}: {key} is missing or changed"


def _lists(connection: Connection, wanted: set[str]) -> Iterator[str]:
    """Each list of tensors has the SHA-256 that names it."""
    at = tables.tensors.c
    query = select(at.list, at.tensor).order_by(at.list, at.tensor)
    names: list[str] = []
    current: Any = None
    left = set(wanted)

    def closed() -> Iterator[str]:
        if current is None:
            return
        texts = all(isinstance(one, str) for one in names)
        if not texts or hashlib.sha256(dumps(sorted(names))).hexdigest() != current:
            yield f"tensors: the list {str(current)[:12]} is not what its hash says"
        elif current in left:
            left.remove(current)
        else:
            yield f"tensors: the list {current[:12]} belongs to no patch"

    for key, tensor in chain.from_iterable(batches(connection, query)):
        if key != current:
            yield from closed()
            current, names = key, []
        names.append(tensor)
    yield from closed()
    for one in sorted(left - {hashlib.sha256(dumps([])).hexdigest()}):
        yield f"tensors: the list {one[:12]} is missing or changed"


def _document(state: State) -> str:
    return state.model_dump_json()
