"""A protocol that is frozen: protocol.lock.json."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from zogan.disk import put
from zogan.errors import IntegrityError, RunError, one_line
from zogan.evaluate.protocol.changes import changes
from zogan.evaluate.protocol.protocol import Protocol
from zogan.evaluate.protocol.sample import Sample
from zogan.patch.disk import locked
from zogan.patch.meta import Sha256, canonical

NAME = "protocol.lock.json"

Outcome = Literal["frozen", "kept", "anew"]


class Lock(BaseModel):
    """A protocol and the test rows that it was frozen with.

    Attributes:
        frozen_at: UTC, ISO 8601.
        protocol: in full.
        sha256: of the protocol's canonical JSON.
        test: the rows, by hashes.
        exploratory: why nothing that follows from this freeze confirms anything; empty where it was frozen in time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    frozen_at: str = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)$")
    protocol: Protocol
    sha256: Sha256
    test: Sample
    exploratory: tuple[str, ...] = ()

    def dumps(self) -> str:
        """The text of protocol.lock.json: keys sorted."""
        return canonical(self.model_dump(mode="json"), indent=2) + "\n"


@dataclass(frozen=True)
class Frozen:
    """What freezing did.

    Attributes:
        path: of the lock.
        lock: that is in force.
        outcome: frozen now; kept, because the same is frozen already; or anew, in place of another.
        old: where the one that was replaced is kept.
    """

    path: Path
    lock: Lock
    outcome: Outcome
    old: Path | None = None


def freeze(
    folder: Path, protocol: Protocol, test: Sample, *, at: str, exploratory: tuple[str, ...] = (), anew: bool = False
) -> Frozen:
    """Write protocol.lock.json, whole or not at all.

    Args:
        folder: where it goes.
        protocol: in full.
        test: the rows that it will be judged on.
        at: now, UTC, ISO 8601.
        exploratory: why it comes too late to confirm anything.
        anew: replace another freeze, which is kept beside it under the hash of its file.

    Raises:
        RunError: another protocol, or other test rows, are frozen there, and `anew` is not asked for.
        IntegrityError: the freeze that is there is damaged.
    """
    lock = Lock(frozen_at=at, protocol=protocol, sha256=protocol.digest, test=test, exploratory=exploratory)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    old = None
    with locked(folder):
        there = read(path)
        if there is not None:
            changed = changes(there, protocol, test)
            if not changed:
                return Frozen(path, there, "kept")
            if not anew:
                raise RunError(
                    f"another protocol is frozen here since {there.frozen_at}: {'; '.join(changed.lines())}",
                    where=str(path),
                    todo="Give --anew to freeze this one; the old one is kept beside it",
                )
            content = path.read_bytes()
            old = folder / f"protocol.lock.{hashlib.sha256(content).hexdigest()[:12]}.json"
            put(old, content, old.with_name(old.name + ".partial"))
        put(path, lock.dumps().encode(), path.with_name(path.name + ".partial"))
    return Frozen(path, lock, "frozen" if old is None else "anew", old)


def read(path: Path) -> Lock | None:
    """The freeze in a file; None where there is no file.

    Raises:
        IntegrityError: it is damaged, or was changed by hand.
    """
    if not path.is_file():
        return None
    todo = "Take back what was changed in it, or freeze anew after moving it away"
    try:
        lock = Lock.model_validate_json(path.read_bytes())
    except ValueError as error:
        raise IntegrityError(f"is no frozen protocol: {one_line(error)}", where=str(path), todo=todo) from None
    if lock.protocol.digest != lock.sha256:
        raise IntegrityError("its protocol is not the one that was frozen", where=str(path), todo=todo)
    return lock


def find(*folders: Path) -> Path | None:
    """The first of the folders' locks that is there."""
    return next((path for folder in folders if (path := folder / NAME).is_file()), None)
