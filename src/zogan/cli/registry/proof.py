"""zogan registry verify, head: that nothing was changed."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from zogan.cli.console import Console
from zogan.cli.registry.verb import Place, verb

DAMAGED = 4
"""Exit code where something was changed."""


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("verify", epilog='Example: zogan registry verify --head "$(cat head-of-last-week)"')(verify)
    group.command("head", epilog="Example: zogan registry head > head-of-last-week")(head)


@verb
def verify(
    place: Place,
    console: Console,
    line: Annotated[
        str | None,
        typer.Option(
            "--head", metavar="HEAD", help="A head that you kept elsewhere.", show_default="the last seen here"
        ),
    ] = None,
    new: Annotated[
        bool, typer.Option("--new", help="Only what came since the last whole check here, without tables and files.")
    ] = False,
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="Check all signatures and rules anew, and believe nothing of what was proved here before."
        ),
    ] = False,
    files: Annotated[bool, typer.Option("--files/--no-files", help="Hash the files too.")] = True,
    processes: Annotated[
        int | None, typer.Option("--processes", min=1, help="That check signatures.", show_default="the cores")
    ] = None,
) -> None:
    """Read the whole log, and find any event that was changed, deleted, moved, put in or cut off.

    Checks hashes, signatures, the rules, the tables and the files. Leaves with code 4 where anything is found.
    """
    from zogan.errors import ConfigError
    from zogan.registry.log import Head

    if new and full:
        raise ConfigError("asks for less than --full", where="--new", todo="Give one of them")
    with place.open(unproved=True) as registry:
        found = registry.verify(
            written_down=None if line is None else Head.parse(line),
            new=new,
            full=full,
            files=files,
            processes=processes or os.cpu_count() or 1,
            progress=console,
        )
    value = {
        "whole": bool(found),
        "events": found.events,
        "signatures": found.signatures,
        "files": found.blobs,
        "left_out": found.left_out,
        "head": None if found.head is None else str(found.head),
        "faults": [{"event": one.number, "what": one.what} for one in found.faults],
        "more": found.more,
    }
    known = found.events - found.signatures
    before = f" ({known:,} were proved here before)" if known and found else ""
    counts = f"{found.events:,} events, {found.signatures:,} signatures{before}, {found.blobs:,} files"
    if found.left_out:
        counts += f", {found.left_out:,} files not held here"
    more = [f"and {found.more:,} more"] if found.more else []
    lead = f"whole: {counts}" if found else f"NOT whole: {counts}"
    if new and found and not found.events:
        lead = "whole: nothing came since the last whole check here"
    console.result(value, lead, *map(str, found.faults), *more, *([f"head: {found.head}"] if found.head else []))
    if not found:
        raise typer.Exit(DAMAGED)


@verb
def head(place: Place, console: Console) -> None:
    """Print the log's head in one short line; kept elsewhere, it proves later that nothing before it was changed."""
    with place.open() as registry:
        found = registry.head()
    console.result({"head": str(found), "event": found.number, "sha256": found.hash}, str(found))
