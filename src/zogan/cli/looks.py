"""Looks at the test rows, counted where a protocol is frozen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from zogan.cli.console import Console
    from zogan.config import Config
    from zogan.pilot import Looked


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def counted(path: Path, config: Config, command: str, console: Console) -> Looked | None:
    """What writes each look into the looks.jsonl beside the frozen protocol; None where none is frozen.

    Args:
        path: of the configuration.
        config: what it says.
        command: that looks.
        console: told how many looks there are.
    """
    from zogan.evaluate.protocol import lock, looks

    found = lock.find(config.output, path.resolve().parent)
    if found is None:
        return None
    file = found.with_name(looks.NAME)

    def looked(patch: str, test: str) -> None:
        looks.add_look(file, looks.Look(at=now(), patch=patch, command=command, test=test))
        console.note(f"look {looks.count_looks(file, test):,} at these test rows since a protocol is frozen ({file})")

    return looked
