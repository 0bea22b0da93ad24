"""How a long stage tells how far it is. The command line draws it; a library user may ignore it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Whoever listens to a stage."""

    def start(self, stage: str, total: int) -> None:
        """A stage of `total` units begins."""

    def advance(self, done: int, **figures: float) -> None:
        """`done` units in all are through; figures such as loss and rate as they stand."""

    def note(self, message: str) -> None:
        """One line that the user should read."""


class Silent:
    """Listens to nothing."""

    def start(self, stage: str, total: int) -> None: ...

    def advance(self, done: int, **figures: float) -> None: ...

    def note(self, message: str) -> None: ...
