"""How far a stage is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from rich.progress import Progress as Drawing

BAR_AFTER_SECONDS = 1.0
LINE_EVERY_SECONDS = 10.0


@runtime_checkable
class Stream(Protocol):
    """What lines are written to."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> None: ...


class Lines:
    """For logs and pipes: one line every ten seconds at most.

    Args:
        stream: where they go.
        clock: seconds that only grow.
    """

    def __init__(self, stream: Stream, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._stage, self._total = "", 0
        self._begun = self._told = clock()
        self._first: int | None = None

    def start(self, stage: str, total: int) -> None:
        """See `zogan.progress.Progress`."""
        self._stage, self._total, self._begun, self._first = stage, total, self._clock(), None

    def advance(self, done: int, **figures: float) -> None:
        """See `zogan.progress.Progress`."""
        # A stage that goes on from a checkpoint has work behind it that this process did not do.
        self._first = done if self._first is None else self._first
        now = self._clock()
        if now - self._told < LINE_EVERY_SECONDS or not self._total:
            return
        self._told = now
        parts = [f"{self._stage}: {done:,} of {self._total:,} ({100 * done / self._total:.0f} %)", *shown(figures)]
        if done > self._first:
            left = (now - self._begun) * (self._total - done) / (done - self._first)
            parts.append(f"about {clock_time(left)} left")
        self.note(", ".join(parts))

    def note(self, message: str) -> None:
        """See `zogan.progress.Progress`."""
        self._stream.write(f"{message}\n")
        self._stream.flush()

    def stop(self) -> None:
        """Nothing is open."""


class Bars:
    """For a terminal: one bar, which appears when a stage lasts and goes when it is over."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._drawing: Drawing | None = None
        self._stage, self._total, self._begun = "", 0, clock()

    def start(self, stage: str, total: int) -> None:
        """See `zogan.progress.Progress`."""
        self.stop()
        self._stage, self._total, self._begun = stage, total, self._clock()

    def advance(self, done: int, **figures: float) -> None:
        """See `zogan.progress.Progress`."""
        if self._drawing is None:
            if self._clock() - self._begun < BAR_AFTER_SECONDS:
                return
            self._drawing = _drawing()
            self._drawing.add_task(self._stage, total=self._total, completed=done, figures="")
            self._drawing.start()
        self._drawing.update(self._drawing.task_ids[0], completed=done, figures="  ".join(shown(figures)))

    def note(self, message: str) -> None:
        """See `zogan.progress.Progress`."""
        from rich.console import Console
        from rich.text import Text

        screen = self._drawing.console if self._drawing else Console(stderr=True)
        screen.print(Text(message, style="dim"), soft_wrap=True)

    def stop(self) -> None:
        """Take the bar away."""
        if self._drawing is not None:
            self._drawing.stop()
            self._drawing = None


def shown(figures: dict[str, float]) -> list[str]:
    """Figures as they stand: `loss 1.234`."""
    return [f"{name} {value:.4g}" for name, value in figures.items()]


def clock_time(seconds: float) -> str:
    """45 s, 3 min 20 s or 2 h 5 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def _drawing() -> Drawing:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}", style="dim"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
