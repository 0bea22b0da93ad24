"""zogan registry init: begin a registry."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

from zogan.cli.console import Console
from zogan.cli.looks import now
from zogan.cli.registry.verb import Place, memory, verb


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command("init", epilog="Example: zogan registry init --url registry.db --name 'Ann Owner'")(init)


@verb
def init(
    place: Place,
    console: Console,
    name: Annotated[str, typer.Option("--name", help="Yours: you are its first owner.")],
    policy: Annotated[
        Path | None, typer.Option("--policy", metavar="FILE", help="Its rules, in YAML.", show_default="the usual ones")
    ] = None,
) -> None:
    """Begin a registry: its database, its first owner, its policy. Your key must be there: see `identity new`."""
    from zogan.registry.policy import Policy, read_policy
    from zogan.registry.registry import Registry

    url, blobs = place.settings()
    rules = Policy() if policy is None else read_policy(policy)
    with Registry.create(
        url,
        blobs,
        identity=place.identity(),
        name=name,
        registry=secrets.token_hex(16),
        at=now(),
        policy=rules,
        memory=memory(),
    ) as registry:
        head = registry.head()
        console.result(
            {
                "registry": registry.id,
                "database": registry.database.shown,
                "blobs": registry.blobs.url,
                "head": str(head),
            },
            f"registry: {registry.database.shown}",
            f"files:    {registry.blobs.url}",
            f"head:     {head}",
            "Keep the head where no one who can write the database can write",
        )
