"""The base that a patch command is given."""

from __future__ import annotations

from pathlib import Path

from zogan.cli.console import Console


def folder_of(source: str, console: Console, *, in_place: bool = False) -> Path:
    """The folder of a base however it is named. What comes from a wheel or a GGUF file lies in zogan's own cache."""
    if not source.startswith("package:") and not source.endswith(".gguf"):
        return Path(source)
    from zogan.errors import ZoganError

    if in_place:
        raise ZoganError("only a folder can be changed in place", where=source, todo="Give -o OUT for a new folder")
    from zogan.models import open_base

    return open_base(source, progress=console).folder
