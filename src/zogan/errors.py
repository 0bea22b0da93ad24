"""What can go wrong, each with where it stands and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ZoganError(Exception):
    """A problem the user can mend. One line: what, where, what to do.

    Args:
        what: the problem, naming the value.
        where: file, row, key or tensor.
        todo: what the user can do.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: str | None = None, todo: str | None = None) -> None:
        self.what, self.where, self.todo = what, where, todo
        place = f"{where}: " if where else ""
        hint = f". {todo}" if todo else ""
        super().__init__(f"{place}{what}{hint}")


class ConfigError(ZoganError):
    """A key or value of the configuration."""


class DataError(ZoganError):
    """A data file, row or column."""


class ModelError(ZoganError):
    """A base that cannot be loaded, or must not be."""


class RunError(ZoganError):
    """A run folder that is locked, full or not a run."""


class IntegrityError(ZoganError):
    """Bytes are not what they must be: wrong base, changed weight, damaged or hostile file."""

    exit_code = 4


def one_line(error: BaseException) -> str:
    """What another library says of an error, however it breaks its lines."""
    return " ".join(str(error).split())


def nearest(name: str, known: Iterable[str]) -> str:
    """Say what was probably meant: `did you mean 'x'?`, or the list of what is known."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(names)}"
