"""zogan registry export, import: between sites."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zogan.cli.console import Console
from zogan.cli.registry.shown import event_tree, events_table
from zogan.cli.registry.verb import Place, memory, verb

if TYPE_CHECKING:
    from zogan.registry.exchange import DivergedError, Imported, Side

DIVERGED = 3
"""Exit code where both registries went on, so that nothing was taken."""

_Processes = Annotated[
    int | None, typer.Option("--processes", min=1, help="That check signatures.", show_default="the cores")
]


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("export", epilog="Example: zogan registry export -o march.zogan --alias support/production")(export)
    group.command("import", epilog='Example: zogan registry import march.zogan --head "$(cat head-of-march)"')(
        import_from
    )


@verb
def export(
    place: Place,
    console: Console,
    file: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="A new file.")],
    patches: Annotated[
        list[str] | None,
        typer.Option("--patch", metavar="PATCH", help="Its files go along; may be given more than once."),
    ] = None,
    aliases: Annotated[
        list[str] | None,
        typer.Option("--alias", metavar="ALIAS", help="Files of what stands there go along; the same."),
    ] = None,
    processes: _Processes = None,
) -> None:
    """Write one file that carries the registry to a site with no network.

    All events up to the head go along, and the files of all patches, or of those that are named.
    """
    with place.open() as registry:
        found = registry.export(
            file,
            patches=patches or (),
            aliases=aliases or (),
            processes=processes or os.cpu_count() or 1,
            progress=console,
        )
    left_out = f", {found.left_out:,} files left out" if found.left_out else ""
    console.result(
        {**asdict(found), "head": str(found.head)},
        f"{found.events:,} events and {found.blobs:,} files in {file}, {found.bytes:,} bytes{left_out}",
        f"head: {found.head}",
        "Send the head another way than the file: it proves there that nothing was changed",
    )


@verb
def import_from(
    place: Place,
    console: Console,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="That `zogan registry export` wrote.")],
    line: Annotated[
        str | None,
        typer.Option("--head", metavar="HEAD", help="That came another way than the file, and the file must lead to."),
    ] = None,
    processes: _Processes = None,
) -> None:
    """Take from such a file what is new, where there is no registry, or one that it goes on from.

    All of it is proved before a byte is written: signatures, rules, hashes. Where both went on, they are shown side by
    side, nothing is taken, and the exit code is 3.
    """
    from zogan.registry.exchange import DivergedError
    from zogan.registry.log import Head
    from zogan.registry.registry import Registry

    url, blobs = place.settings()
    try:
        found = Registry.import_from(
            file,
            url,
            blobs,
            head=None if line is None else Head.parse(line),
            memory=memory(),
            processes=processes or os.cpu_count() or 1,
            progress=console,
        )
    except DivergedError as error:
        _show(error, console)
        raise typer.Exit(DIVERGED) from None
    value = {**asdict(found), "archive": str(found.archive), "head": str(found.head)}
    left_out = [f"{found.left_out:,} files that events name are not held here"] if found.left_out else []
    console.result(value, _said(found), *left_out, f"head: {found.head}")


def _said(found: Imported) -> str:
    if found.events:
        return f"{found.events:,} events and {found.blobs:,} files added"
    files = f"only {found.blobs:,} files were added" if found.blobs else "nothing was added"
    if found.archive.number < found.head.number:
        return f"{files}: the archive ends with event {found.archive.number:,}, the registry here goes on behind it"
    return f"{files}: the registry here has all {found.archive.number:,} events of the archive"


def _show(error: DivergedError, console: Console) -> None:
    """Both sides, behind what they have in common."""
    common = None if error.common is None else str(error.common)
    sides = {"here": error.here, "archive": error.there}
    value: dict[str, Any] = {"diverged": True, "what": error.what, "common": common}
    shown: list[Any] = [error.what, f"both have: {common or 'nothing'}"]
    for name, side in sides.items():
        value[name] = {"count": side.count, "events": [event_tree(one, side.names) for one in side.events]}
        shown += [f"{name}:", events_table(side.events, side.names), *_more(side)]
    console.result(value, *shown)


def _more(side: Side) -> list[str]:
    left = side.count - len(side.events)
    return [f"and {left:,} more"] if left else []
