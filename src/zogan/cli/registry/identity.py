"""zogan registry identity: a key of your own, and who is known."""

from __future__ import annotations

from typing import Annotated

import typer

from zogan.cli.console import Console
from zogan.cli.looks import now
from zogan.cli.registry.shown import names, written
from zogan.cli.registry.verb import Place, passphrase, verb
from zogan.cli.tables import table

Name = Annotated[str, typer.Argument(metavar="NAME", help="The person's.")]


def register(group: typer.Typer) -> None:
    """Add the group and its commands."""
    inner = typer.Typer(help="A key of your own, and who is known here.", no_args_is_help=True)
    inner.command("new", epilog="Example: zogan registry identity new")(new)
    inner.command("show", epilog="Example: zogan registry identity show")(show)
    inner.command("list", epilog="Example: zogan registry identity list")(people)
    inner.command("enrol", epilog="Example: zogan registry identity enrol Ben 3b6a… --role reviewer")(enrol)
    inner.command("revoke", epilog="Example: zogan registry identity revoke Ben --reason 'has left'")(revoke)
    group.add_typer(inner, name="identity")


@verb
def new(place: Place, console: Console) -> None:
    """Make a key: a new file with mode 0600, encrypted with your passphrase."""
    from zogan.registry.identity import create

    path = place.key_file()
    made = create(path, passphrase(place.secret, new=True))
    console.result(
        {"identity": path, "public": made.public, "keyid": made.keyid},
        f"identity: {path}",
        f"public:   {made.public}",
        "Give the public key to an owner, who enrols it: zogan registry identity enrol NAME PUBLIC --role …",
    )


@verb
def show(place: Place, console: Console) -> None:
    """Unlock your key, and say which it is."""
    found = place.identity()
    path = place.key_file()
    value = {"identity": path, "public": found.public, "keyid": found.keyid}
    console.result(value, f"identity: {path}", f"public:   {found.public}", f"keyid:    {found.keyid}")


@verb
def people(place: Place, console: Console) -> None:
    """Say who is enrolled, with which roles."""
    with place.open() as registry:
        found = registry.people()
    rows = [
        (
            one.name,
            ", ".join(one.roles),
            one.keyid[:12],
            "" if one.revoked is None else f"revoked, event {one.revoked:,}",
        )
        for one in found
    ]
    value = {"people": [one.model_dump(mode="json") for one in found]}
    console.result(value, table(("name", "roles", "key", ""), rows))


@verb
def enrol(
    place: Place,
    console: Console,
    name: Name,
    public: Annotated[str, typer.Argument(metavar="PUBLIC", help="The public key that `identity new` printed.")],
    role: Annotated[list[str], typer.Option("--role", help="engineer, reviewer, operator or owner; repeatable.")],
) -> None:
    """Make a person known, or give other roles to one who is. Takes an owner."""
    from zogan.registry.asked import enrolled

    asked = enrolled(name, public, role)
    with place.open() as registry:
        event = registry.enrol(asked.name, asked.public, asked.roles, identity=place.identity(), at=now())
        tree, said = written(event, names(registry))
        console.result(tree, said)


@verb
def revoke(
    place: Place,
    console: Console,
    name: Name,
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
) -> None:
    """Take a person's key out of use: it signs nothing more, and its approvals no longer count. Takes an owner."""
    with place.open() as registry:
        event = registry.revoke(name, reason, identity=place.identity(), at=now())
        tree, said = written(event, names(registry))
        console.result(tree, said)
