"""A log from elsewhere, taken in event by event: each is proved, or all of it is refused."""

from __future__ import annotations

from zogan.errors import IntegrityError
from zogan.registry.envelope import Signed
from zogan.registry.event import ORIGIN, Begun, Enrolled, Event, parse
from zogan.registry.identity import keyid_of
from zogan.registry.log import Head
from zogan.registry.rules import RefusedError, advance
from zogan.registry.signatures import Signatures
from zogan.registry.state import View


class Replay:
    """What a log leads to, from its first event.

    Args:
        view: the state, which is empty yet.
        processes: that check signatures.

    Attributes:
        head: of what was taken in.
    """

    def __init__(self, view: View, processes: int) -> None:
        self._view, self.head, self._at = view, Head(0, ORIGIN), ""
        self._keys: dict[str, str] = {}
        self._signatures = Signatures(processes, _refuse)

    def take(self, envelope: Signed) -> Event:
        """The next event.

        Raises:
            IntegrityError: it does not follow on the last, its key is not enrolled, or the rules do not permit it. That
                a signature is wrong may be told only by a later call, or by `done`.
        """
        number = self.head.number + 1
        try:
            event = parse(envelope.payload)
        except (ValueError, RecursionError):
            raise IntegrityError("is no event that this zogan reads", where=f"event {number:,}") from None
        if (event.number, event.previous, event.by) != (number, self.head.hash, envelope.keyid):
            _refuse(number, "does not follow on the event before it")
        if event.at < self._at:
            _refuse(number, f"is of {event.at}, before the event that it follows on")
        if number == 1 and isinstance(event.body, Begun):
            self._enrol(event.body)
        public = self._keys.get(envelope.keyid)
        if public is None:
            raise IntegrityError("is signed by a key that is not enrolled", where=f"event {number:,}")
        self._signatures.add((number, envelope.payload, envelope.signature, public))
        try:
            advance(event, self._view)
        except RefusedError as refused:
            raise IntegrityError(f"the rules do not permit it: {refused.what}", where=f"event {number:,}") from None
        if isinstance(event.body, Enrolled):
            self._enrol(event.body)
        self.head, self._at = Head(number, envelope.hash), event.at
        return event

    def done(self) -> None:
        """Wait until all signatures are checked.

        Raises:
            IntegrityError: one is wrong.
        """
        self._signatures.done()

    def _enrol(self, body: Begun | Enrolled) -> None:
        self._keys[keyid_of(bytes.fromhex(body.public))] = body.public

    def __enter__(self) -> Replay:
        return self

    def __exit__(self, *given: object) -> None:
        self._signatures.__exit__(*given)


def _refuse(number: int, what: str) -> None:
    raise IntegrityError(what, where=f"event {number:,}")
