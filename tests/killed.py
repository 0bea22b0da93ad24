"""A listener that stops a training, as Ctrl-C would."""

from __future__ import annotations

from zogan.progress import Silent


class Killed(Silent):
    """Stops the training at a step, where one is given, and keeps the notes that it was told."""

    def __init__(self, step: int | None = None) -> None:
        self.step, self.stage, self.notes = step, "", [""]

    def start(self, stage: str, total: int) -> None:
        self.stage = stage

    def advance(self, done: int, **figures: float) -> None:
        if self.stage == "tune" and done == self.step:
            raise KeyboardInterrupt

    def note(self, message: str) -> None:
        self.notes.append(message)
