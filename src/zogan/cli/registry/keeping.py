"""zogan registry gc, backup, restore: what keeps it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from zogan.cli.console import Console
from zogan.cli.looks import now
from zogan.cli.registry.verb import Place, memory, verb


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("gc", epilog="Example: zogan registry gc --dry-run")(gc)
    group.command("backup", epilog="Example: zogan registry backup /mnt/backup/registry-2026-03-14")(backup)
    group.command("restore", epilog="Example: zogan registry restore /mnt/backup/registry-2026-03-14 --url new.db")(
        restore
    )


@verb
def gc(
    place: Place, console: Console, dry: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False
) -> None:
    """Delete files that no event names, and that are older than a day."""
    with place.open() as registry:
        found = registry.collect(at=now(), dry=dry)
    what = "would be deleted" if dry else f"deleted, {found.removed_bytes:,} bytes"
    console.result(
        {**asdict(found), "dry_run": dry},
        f"{found.removed:,} files {what}; {found.kept:,} named by events, {found.young:,} younger than a day",
    )


@verb
def backup(
    place: Place, console: Console, folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder.")]
) -> None:
    """Copy all events and files into a new folder, whole or not at all."""
    with place.open() as registry:
        found = registry.backup(folder, progress=console)
    console.result(
        {**asdict(found), "head": str(found.head)},
        f"{found.events:,} events and {found.blobs:,} files copied to {folder}",
        f"head: {found.head}",
    )


@verb
def restore(
    place: Place, console: Console, folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A backup.")]
) -> None:
    """Make a registry from a backup, where there is none; every event is proved on the way."""
    from zogan.registry.registry import Registry

    url, blobs = place.settings()
    found = Registry.restore(folder, url, blobs, memory=memory(), progress=console)
    console.result(
        {**asdict(found), "head": str(found.head)},
        f"{found.events:,} events and {found.blobs:,} files restored from {folder}",
        f"head: {found.head}",
    )
