"""zogan registry promote, rollback: what stands where."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from zogan.cli.console import Console
from zogan.cli.looks import now
from zogan.cli.registry.patches import Patch
from zogan.cli.registry.shown import names, written
from zogan.cli.registry.verb import Place, verb

if TYPE_CHECKING:
    from zogan.registry.difference import Difference

Alias = Annotated[str, typer.Argument(metavar="ALIAS", help="Task and place, such as support/production.")]


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("promote", epilog="Example: zogan registry promote 3fa94b01 support/production")(promote)
    group.command("rollback", epilog="Example: zogan registry rollback support/production --reason 'refunds fail'")(
        rollback
    )


@verb
def promote(place: Place, console: Console, patch: Patch, alias: Alias) -> None:
    """Put an approved patch at an alias, in place of what stands there."""
    with place.open() as registry:
        found = registry.find(patch)
        change = registry.difference(alias, found)
        instead = None if change.now in (None, "base") else change.now
        event = registry.promote(found, alias, instead=instead, identity=place.identity(), at=now())
        tree, said = written(event, names(registry))
        console.result({**tree, "difference": change.as_json()}, *_shown(change), said)


@verb
def rollback(
    place: Place,
    console: Console,
    alias: Alias,
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="PATCH", help="An earlier patch, or base.", show_default="what stood there before"
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Put back what stood at an alias before. Shows first what changes for users, and asks.

    Needs no approval, and no freeze of the policy stands against it.
    """
    from zogan.errors import ZoganError

    with place.open() as registry:
        standing = registry.alias(alias)
        then = registry.target(standing, to)
        change = registry.difference(alias, then)
        if not yes:
            if console.as_json or not sys.stdin.isatty():
                raise ZoganError(
                    f"nothing is rolled back yet: {'; '.join(change.lines)}", where=alias, todo="Give --yes to do it"
                )
            for line in _shown(change):
                typer.echo(line)
            typer.confirm("Roll back?", abort=True)
        event = registry.roll_back(standing, then, reason, identity=place.identity(), at=now())
        tree, said = written(event, names(registry))
        console.result({**tree, "difference": change.as_json()}, *(_shown(change) if yes else ()), said)


def _shown(change: Difference) -> list[str]:
    tensors = f"tensors: {change.both:,} in both, {change.only_now:,} only now, {change.only_then:,} only then"
    weights = f"weights: {change.changed_now:,} changed now, {change.changed_then:,} then"
    return [*change.lines, weights, tensors]
