"""A registry whose patches are made of events and a few bytes: what it takes to write to it again and again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from zogan.registry import log
from zogan.registry.candidate import dumps
from zogan.registry.event import Added, ClauseSaid, Evaluated, Event
from zogan.registry.identity import Identity
from zogan.registry.registry import Registry
from zogan.registry.state import PatchState
from zogan.registry.tensors import put_list

AT = "2026-03-01T08:00:00+00:00"


def key(name: str) -> Identity:
    """The same for the same name, without a file."""
    return Identity(Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest()))


OWNER, ENGINEER, OPERATOR = (key(name) for name in ("owner", "engineer", "operator"))


@dataclass(frozen=True)
class Place:
    """Where a registry lies, so that each process opens it anew.

    Args:
        folder: of its files.
        url: of its database; SQLite in the folder where absent.
    """

    folder: Path
    url: str | None = None

    def begin(self, reviewers: int) -> None:
        """Begin it, with so many reviewers beside an owner, an engineer and an operator."""
        url = self.url or str(self.folder / "registry.db")
        made = Registry.create(url, str(self.folder / "blobs"), identity=OWNER, name="Olga", registry="c" * 32, at=AT)
        with made as registry:
            registry.enrol("Eva", ENGINEER.public, ("engineer",), identity=OWNER, at=AT)
            registry.enrol("Otto", OPERATOR.public, ("operator",), identity=OWNER, at=AT)
            for place in range(reviewers):
                registry.enrol(f"Ravi {place}", key(f"reviewer {place}").public, ("reviewer",), identity=OWNER, at=AT)

    def open(self) -> Registry:
        """Open it, with nothing remembered of it."""
        return Registry(self.url or str(self.folder / "registry.db"), str(self.folder / "blobs"))


def add(registry: Registry, name: str) -> Event:
    """Add a patch of that name, with files of its own."""
    names = registry.blobs.put(dumps([f"layer.{name}"]))
    digest = hashlib.sha256(name.encode()).hexdigest()
    body = Added(
        patch=digest,
        base="b" * 64,
        parent=None,
        task="classification",
        labels=("no", "yes"),
        changed=10,
        weights=1000,
        bytes=len(name),
        new=False,
        hashes={},
        tools={},
        note=None,
        blobs={"patch": registry.blobs.put(name.encode() * 1000), "tensors": names},
    )
    event, _ = log.append(
        registry.database,
        body,
        ENGINEER,
        at=AT,
        prepare=lambda connection: put_list(connection, names, registry.blobs.get),
    )
    return event


def evaluate(registry: Registry, patch: PatchState, word: str) -> Event:
    """Bring evidence on a patch, which voids what was approved before."""
    report = registry.blobs.put(f"{patch.digest} {word}".encode())
    body = Evaluated(
        patch=patch.digest,
        base=patch.base,
        data="d",
        code="0",
        protocol="a" * 64,
        test="e" * 64,
        frozen_at=AT,
        exploratory=(),
        outcome="accepted",
        metric="accuracy",
        rival=0.5,
        after=0.75,
        rows=100,
        clauses=(ClauseSaid(kind="claim", name="accuracy", outcome="accepted"),),
        blobs={"report": report, "verdict": report, "evaluation": report},
    )
    return log.append(registry.database, body, ENGINEER, at=AT)[0]
