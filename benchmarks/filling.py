"""A registry with as many events as are asked for, each of them genuine, written in bulk."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection

from zogan.errors import ZoganError
from zogan.registry import tables
from zogan.registry.candidate import dumps as dumps_list
from zogan.registry.envelope import Signed, pae
from zogan.registry.event import Added, Approved, ClauseSaid, Evaluated, Event, Promoted, RolledBack, parse
from zogan.registry.identity import Identity
from zogan.registry.log import envelopes
from zogan.registry.projection import columns, entry
from zogan.registry.registry import Registry
from zogan.registry.rules import advance
from zogan.registry.state import Memory
from zogan.registry.tensors import put_list

START = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
TASKS, LISTS, TENSORS, FILES = 100, 20, 60, 16
STEPS = 10
"""Events of a patch at most."""

_LIVES = 1000
"""Of patches, to a transaction."""


def digest(text: object) -> str:
    return hashlib.sha256(str(text).encode()).hexdigest()


def key(name: str) -> Identity:
    """Always the same, so that a registry that was filled before can be gone on with."""
    return Identity(Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"benchmark {name}".encode()).digest()))


OWNER, ENGINEER, REVIEWER, OPERATOR = (key(name) for name in ("owner", "engineer", "reviewer", "operator"))


@dataclass(frozen=True)
class Place:
    """Where it lies.

    Args:
        folder: of its files.
        url: of a PostgreSQL; SQLite in the folder where absent.
    """

    folder: Path
    url: str | None = None

    @property
    def memory(self) -> Path:
        return self.folder / "heads.json"

    def open(self, **options: Any) -> Registry:
        return Registry(self.url or str(self.folder / "registry.db"), str(self.folder / "blobs"), **options)

    @property
    def last(self) -> str:
        """A time behind all events."""
        return str(json.loads((self.folder / "filled.json").read_text())["at"])


def fill(place: Place, patches: int, steps: int) -> None:
    """Fill it, unless that was done before; where that was broken off, go on.

    Args:
        place: where.
        patches: that it shall hold.
        steps: events of each, 3 to 10.
    """
    asked, done = {"patches": patches, "steps": steps}, place.folder / "filled.json"
    if done.is_file() and json.loads(done.read_text()).items() >= asked.items():
        return
    place.folder.mkdir(parents=True, exist_ok=True)
    try:
        registry = place.open()
    except ZoganError:
        registry = _begun(place)
    with registry:
        at = _Writer(registry, steps).write(patches)
    done.write_text(json.dumps({**asked, "at": at}))


def _begun(place: Place) -> Registry:
    at = START.isoformat()
    url, blobs = place.url or str(place.folder / "registry.db"), str(place.folder / "blobs")
    registry = Registry.create(url, blobs, identity=OWNER, name="Olga", registry="b" * 32, at=at)
    registry.enrol("Eva", ENGINEER.public, ("engineer",), identity=OWNER, at=at)
    registry.enrol("Ravi", REVIEWER.public, ("reviewer",), identity=OWNER, at=at)
    registry.enrol("Otto", OPERATOR.public, ("operator",), identity=OWNER, at=at)
    return registry


class _Writer:
    """Writes events as `log.append` does, many to a transaction, and the tables at the end."""

    def __init__(self, registry: Registry, steps: int) -> None:
        self.registry, self.state, self.steps = registry, Memory(), steps
        draw = random.Random(0)
        self.files = [registry.blobs.put(draw.randbytes(600_000)) for _ in range(FILES)]
        self.reports = [registry.blobs.put(draw.randbytes(50_000)) for _ in range(FILES)]
        names = [[f"layers.{layer}.part.{part}" for part in range(TENSORS)] for layer in range(LISTS)]
        self.lists = [registry.blobs.put(dumps_list(sorted(["embeddings", *one]))) for one in names]
        self.number, self.hash = registry.head().number, registry.head().hash
        with registry.database.reading() as connection:
            for one in envelopes(connection):
                advance(parse(one.payload), self.state)

    def write(self, patches: int) -> str:
        """Write whole lives, and then the tables; returns the time of the last event."""
        for start in range(len(self.state.patches), patches, _LIVES):
            lives = range(start, min(start + _LIVES, patches))
            rows = [row for place in lives for row in islice(self._life(place), self.steps)]
            with self.registry.database.writing() as connection:
                connection.execute(tables.events.insert(), [row for row, _ in rows])
                connection.execute(tables.entries.insert(), [row for _, row in rows])
        with self.registry.database.writing() as connection:
            self._tables(connection)
            if not self.registry.database.embedded:
                connection.exec_driver_sql("ANALYZE")
        return self._at()

    def _at(self) -> str:
        return (START + timedelta(seconds=5 * self.number)).isoformat()

    def _event(self, body: Any, who: Identity) -> tuple[dict[str, Any], dict[str, Any]]:
        self.number += 1
        event = Event(number=self.number, previous=self.hash, at=self._at(), by=who.keyid, body=body)
        # Canonical, as `verify` finds: nothing in it is one of the cases that only the library writes.
        payload = json.dumps(event.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode()
        advance(event, self.state)
        one = Signed(payload, who.keyid, who.sign(pae(payload)))
        self.hash = one.hash
        row = {"number": self.number, "hash": self.hash, "payload": payload, "keyid": one.keyid}
        return {**row, "signature": one.signature}, entry(event)

    def _life(self, place: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        patch, task = digest(f"patch {place}"), f"task-{place % TASKS}"
        production, pilot, other = f"{task}/production", f"{task}/pilot", f"{task}-b/production"
        yield self._event(
            Added(
                patch=patch,
                base=digest(f"base {place % 3}"),
                parent=digest(f"patch {place - 3}") if place > 3 else None,
                task="classification",
                labels=("negative", "neutral", "positive"),
                changed=82_729 + place % 97,
                weights=22_713_216,
                bytes=600_000,
                new=True,
                hashes={"config": digest(f"config {place}"), "data": digest("data"), "selection": digest(place % 7)},
                tools={"zogan": "0.1.0", "torch": "2.13.0"},
                note=None,
                blobs={"patch": self.files[place % FILES], "tensors": self.lists[place % LISTS]},
            ),
            ENGINEER,
        )
        yield self._evaluated(place, patch, 0)
        yield self._approved(patch)
        yield self._promoted(patch, pilot)
        before = self._standing(production)
        yield self._promoted(patch, production)
        back = RolledBack(patch=before, alias=production, instead=patch, reason="complaints of one customer")
        yield self._event(back, OPERATOR)
        yield self._promoted(patch, production)
        yield self._evaluated(place, patch, 1)
        yield self._approved(patch)
        yield self._promoted(patch, other)

    def _standing(self, alias: str) -> str | None:
        found = self.state.alias(alias)
        return None if found is None else found.patch

    def _promoted(self, patch: str, alias: str) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._event(Promoted(patch=patch, alias=alias, instead=self._standing(alias)), OPERATOR)

    def _evaluated(self, place: int, patch: str, turn: int) -> tuple[dict[str, Any], dict[str, Any]]:
        report = self.reports[(place + turn) % FILES]
        body = Evaluated(
            patch=patch,
            base=digest(f"base {place % 3}"),
            data=digest("data"),
            code="0.1.0",
            protocol=digest("protocol"),
            test=digest("test"),
            frozen_at=START.isoformat(),
            exploratory=(),
            outcome="accepted",
            metric="accuracy",
            rival=0.8487,
            after=0.8487 + place % 100 / 8192,
            rows=3080,
            clauses=(ClauseSaid(kind="claim", name="accuracy", outcome="accepted"),),
            blobs={"report": report, "verdict": self.reports[place % FILES], "evaluation": self.reports[0]},
        )
        return self._event(body, ENGINEER)

    def _approved(self, patch: str) -> tuple[dict[str, Any], dict[str, Any]]:
        found = self.state.patches[patch]
        assert found.evidence is not None
        body = Approved(
            patch=patch,
            base=found.base,
            report=found.evidence.report,
            protocol=found.evidence.protocol,
            evaluation=found.evidence.number,
            note=None,
        )
        return self._event(body, REVIEWER)

    def _tables(self, connection: Connection) -> None:
        for one in self.lists:
            put_list(connection, one, self.registry.blobs.get)
        state = self.state
        people = [{"keyid": one.keyid, "document": one.model_dump_json()} for one in state.people().values()]
        aliases = [{"name": name, "document": one.model_dump_json()} for name, one in state.aliases.items()]
        stood = [{"alias": a, "patch": patch, "number": n} for (a, patch), n in state.standings.items()]
        for table, rows in (
            (tables.people, people),
            (tables.patches, [columns(one) for one in state]),
            (tables.aliases, aliases),
            (tables.standings, stood),
        ):
            connection.execute(table.delete())
            connection.execute(table.insert(), rows)
