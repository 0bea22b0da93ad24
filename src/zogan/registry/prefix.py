"""The log up to a head that was proved before: its bytes hashed anew, and nothing else asked of them.

Each envelope's hash stands in the event behind it. Canonical JSON ends with number and previous hash, so that the last
bytes of a payload show both. Where the chain ends in the very head that was proved, all bytes are those of then.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from zogan.progress import Progress
from zogan.registry.checkpoint import Checkpoint
from zogan.registry.envelope import hash_of
from zogan.registry.event import ORIGIN
from zogan.registry.rows import log_rows

_FILES = re.compile(rb'"blobs":\{([^}]*)\}')
_FILE = re.compile(rb':"([0-9a-f]{64})"')


class Prefix:
    """Hashes the log up to a checkpoint.

    Args:
        checkpoint: which it must lead to.
        known: heads by number that were kept.

    Attributes:
        blobs: files that events name, each with the first that does.
        entries: the hash of all rows of `entries` up to there.
    """

    def __init__(self, checkpoint: Checkpoint, known: Mapping[int, str]) -> None:
        self.checkpoint = checkpoint
        self.blobs: dict[str, int] = {}
        self.entries = hashlib.sha256()
        self._known = known

    def whole(self, connection: Connection, progress: Progress) -> bool:
        """Whether it is what was proved. Where it is not, a `Reader` tells why."""
        number, previous, head = 0, ORIGIN, self.checkpoint.head
        try:
            for batch in log_rows(connection, upto=head.number):
                for found, kept, payload, keyid, signature, *_ in batch:
                    number += 1
                    ending = f',"number":{number},"previous":"{previous}"}}'
                    previous = hash_of(payload, keyid, signature)
                    if found != number or kept != previous or not payload.endswith(ending.encode()):
                        return False
                    if number in self._known and self._known[number] != previous:
                        return False
                self.entries.update("".join([repr(row[5:]) for row in batch]).encode())
                self._name(batch)
                progress.advance(number)
        except (TypeError, AttributeError, UnicodeError):  # SQLite holds anything in any column
            return False
        same = self.entries.hexdigest() == self.checkpoint.entries
        return same and (number, previous) == (head.number, head.hash)

    def _name(self, batch: list[tuple[Any, ...]]) -> None:
        for row in batch:
            if (found := _FILES.search(row[2])) is not None:
                for one in _FILE.findall(found[1]):
                    self.blobs.setdefault(one.decode(), row[0])
