"""What a proof found."""

from __future__ import annotations

from dataclasses import dataclass, field

from zogan.registry.log import Head

MOST = 200
"""Faults that are told one by one."""


@dataclass(frozen=True)
class Fault:
    """What is wrong, and at which event; None where it is at none."""

    number: int | None
    what: str

    def __str__(self) -> str:
        return self.what if self.number is None else f"event {self.number:,}: {self.what}"


@dataclass
class Verified:
    """What was found.

    Attributes:
        events: that were read.
        signatures: that were checked; those before a head that is known are proved by its hash.
        blobs: files that were hashed.
        left_out: files that are not held here, as the archive that brought their events left them out.
        head: the last event; None in an empty log.
        faults: at most `MOST`; `more` counts the rest.
    """

    events: int = 0
    signatures: int = 0
    blobs: int = 0
    left_out: int = 0
    head: Head | None = None
    faults: list[Fault] = field(default_factory=list)
    more: int = 0

    def add(self, number: int | None, what: str) -> None:
        """Write down a fault."""
        if len(self.faults) < MOST:
            self.faults.append(Fault(number, what))
        else:
            self.more += 1

    def __bool__(self) -> bool:
        return not self.faults
