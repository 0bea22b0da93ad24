"""The log as it is read to be proved: event by event, each against the one before and the state that it follows on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from zogan.registry.envelope import hash_of
from zogan.registry.event import ORIGIN, Begun, Enrolled, Event, parse
from zogan.registry.identity import keyid_of
from zogan.registry.log import Head
from zogan.registry.projection import entry
from zogan.registry.rows import Row, sound
from zogan.registry.rules import RefusedError, advance
from zogan.registry.signatures import Signatures
from zogan.registry.state import Memory
from zogan.registry.verified import Verified


class Reader:
    """Reads the log.

    Args:
        found: told what is wrong.
        signatures: are handed those to check.
        signed: the number up to which signatures were checked before.
        known: heads by number that were kept.

    Attributes:
        memory: the state behind the last event that was read; None to leave the rules alone.
        last: that event.
        at: the latest time so far.
        keys: public keys by keyid, which the log enrolled so far.
        blobs: files that events name, each with the first that does.
        entries: the hash of all rows of `entries` so far.
        took: whether it has read an event.
    """

    def __init__(
        self, found: Verified, signatures: Signatures, *, signed: int = 0, known: Mapping[int, str] | None = None
    ) -> None:
        self.found, self.signatures, self.signed, self.known = found, signatures, signed, known or {}
        self.memory: Memory | None = Memory()
        self.last = Head(0, ORIGIN)
        self.at = ""
        self.keys: dict[str, str] = {}
        self.blobs: dict[str, int] = {}
        self.entries = hashlib.sha256()
        self.took = False

    def take(self, row: Row) -> None:
        """One row of the log, with its row in `entries` beside it. Whatever is in them, this ends."""
        self.found.events += 1
        self.took = True
        number, kept, payload, keyid, signature = row[:5]
        if not isinstance(number, int):
            self.found.add(None, f"an event is numbered {number!r}")
            return
        if number != self.last.number + 1:
            self.found.add(number, f"follows on event {self.last.number:,}: those between are missing")
        if not sound(row):
            self.found.add(number, "its row is damaged")
            self.last = Head(number, "")
            return
        hashed = hash_of(payload, keyid, signature)
        if kept != hashed:
            self.found.add(number, "was changed: its bytes have another hash than the one beside them")
        if self.known.get(number, hashed) != hashed:
            self.found.add(number, f"is not the event of the head that was kept, {number}:{self.known[number][:12]}…")
        previous, self.last = self.last, Head(number, hashed)
        try:
            event = parse(payload)
        except (ValueError, RecursionError):
            self.found.add(number, "is no event that this zogan reads")
            return
        self._chained(event, keyid, previous)
        self._signed(event, payload, keyid, signature)
        self._ruled(event)
        if row[5:] != tuple(entry(event).values()):
            self.found.add(number, "what it is found by (entries) is not what it says")
        self.entries.update(repr(row[5:]).encode())
        for digest in event.blobs.values():
            self.blobs.setdefault(digest, number)

    def _chained(self, event: Event, keyid: str, previous: Head) -> None:
        number = self.last.number
        if event.number != number:
            self.found.add(number, f"says of itself that it is event {event.number:,}")
        if event.by != keyid:
            self.found.add(number, "names another key than the one that signed")
        if event.previous != previous.hash:
            self.found.add(number, "does not follow on the event before it: one of them was changed, moved or put in")
        if event.at < self.at:
            self.found.add(number, f"is of {event.at}, before the event that it follows on")
        self.at = max(self.at, event.at)

    def _signed(self, event: Event, payload: bytes, keyid: str, signature: bytes) -> None:
        """The key is one that the log enrolled before; the first event brings its own."""
        if not self.keys and isinstance(event.body, Begun):
            self.keys[keyid_of(bytes.fromhex(event.body.public))] = event.body.public
        public = self.keys.get(keyid)
        if public is None:
            self.found.add(self.last.number, "is signed by a key that is not enrolled")
        elif self.last.number > self.signed:
            self.signatures.add((self.last.number, payload, signature, public))

    def _ruled(self, event: Event) -> None:
        try:
            if self.memory is not None and (event.number == 1 or self.memory.policies):
                advance(event, self.memory)
        except RefusedError as refused:
            self.found.add(self.last.number, f"the rules do not permit it: {refused.what}")
        if isinstance(event.body, Enrolled):
            self.keys[keyid_of(bytes.fromhex(event.body.public))] = event.body.public
