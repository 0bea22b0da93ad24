"""Where a command speaks: results on stdout, progress, notes and errors on stderr."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

import typer

from zogan.cli.failure import explain, report_failure
from zogan.cli.progress import Bars, Lines

if TYPE_CHECKING:
    from rich.console import RenderableType


class Console:
    """One command's voice; it is also the `Progress` of whatever the command runs.

    As a context it turns an exception into one line on stderr and an exit code.

    Args:
        as_json: the result is printed as JSON, and nothing else on stdout.
        quiet: neither progress nor notes.
        debug: an exception's traceback is printed before its line.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False, debug: bool = False) -> None:
        self.as_json, self.quiet, self.debug = as_json, quiet, debug
        self._progress: Bars | Lines = Bars() if sys.stderr.isatty() else Lines(sys.stderr)

    def start(self, stage: str, total: int) -> None:
        """See `zogan.progress.Progress`."""
        if not self.quiet:
            self._progress.start(stage, total)

    def advance(self, done: int, **figures: float) -> None:
        """See `zogan.progress.Progress`."""
        if not self.quiet:
            self._progress.advance(done, **figures)

    def note(self, message: str) -> None:
        """See `zogan.progress.Progress`."""
        if not self.quiet:
            self._progress.note(message)

    def result(self, value: Mapping[str, Any], *shown: RenderableType) -> None:
        """Print what the command found.

        Args:
            value: all of it, for `--json`.
            shown: the same for people: text as it is, or what rich draws.
        """
        self._progress.stop()
        if self.as_json:
            sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")
            return
        from rich.console import Console as Screen

        # Text of the user's must not be read as rich's markup, nor wrapped where it is copied from.
        screen = Screen(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 120)
        for item in shown:
            if isinstance(item, str):
                screen.print(item, soft_wrap=True)
            else:
                screen.print(item)

    def __enter__(self) -> Console:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        if error is None or isinstance(error, (typer.Exit, BrokenPipeError, SystemExit, GeneratorExit)):
            return
        if self.debug:
            traceback.print_exception(error)
        raise typer.Exit(report_failure(explain(error), as_json=self.as_json)) from None
