"""Files that no event names: left by a process that died, or by an addition that was refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from zogan.errors import IntegrityError
from zogan.registry.blobs import Blobs
from zogan.registry.database import Database
from zogan.registry.event import parse
from zogan.registry.log import envelopes

GRACE = timedelta(hours=24)
"""A file that is younger may belong to an event that is being written."""


@dataclass(frozen=True)
class Collected:
    """What was deleted, what stays because events name it, and what is too young to tell."""

    removed: int
    removed_bytes: int
    kept: int
    young: int


def collect(database: Database, blobs: Blobs, *, at: str, dry: bool = False) -> Collected:
    """Delete the files that no event names.

    Args:
        database: of the registry.
        blobs: its files.
        at: now.
        dry: only count.

    Raises:
        IntegrityError: the log cannot be read whole: nothing is deleted, as it may name anything.
    """
    oldest = datetime.fromisoformat(at) - GRACE
    # Listed before the log is read: what is put from now on is not in the list.
    there = list(blobs.names())
    named: set[str] = set()
    with database.reading() as connection:
        for number, envelope in enumerate(envelopes(connection), 1):
            try:
                named.update(parse(envelope.payload).blobs.values())
            except (ValueError, TypeError, RecursionError):
                raise IntegrityError(
                    "cannot be read: nothing is deleted", where=f"event {number:,}", todo="Run `zogan registry verify`"
                ) from None
    removed = removed_bytes = kept = young = 0
    for path, name, since in there:
        if name in named:
            kept += 1
        elif since is None or since > oldest:
            young += 1
        else:
            removed += 1
            removed_bytes += blobs.remove(path) if not dry else 0
    return Collected(removed, removed_bytes, kept, young)
