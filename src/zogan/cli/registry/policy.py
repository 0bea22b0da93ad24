"""zogan registry policy: the rules in force, and other ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zogan.cli.console import Console
from zogan.cli.looks import now
from zogan.cli.registry.shown import names, written
from zogan.cli.registry.verb import Place, verb


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command("policy", epilog="Example: zogan registry policy --set approvals=2 --reason 'two pairs of eyes'")(
        policy
    )


@verb
def policy(
    place: Place,
    console: Console,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a key, the value as YAML; repeatable.", show_default=False
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="All rules, in YAML.", show_default=False)
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why it changes.", show_default=False)] = None,
) -> None:
    """Show the rules in force as YAML; with --set or --file, put others in force, which takes an owner."""
    import yaml

    from zogan.errors import ConfigError
    from zogan.registry.policy import changed, read_policy

    with place.open() as registry:
        found = registry.policy()
        if not changes and file is None:
            tree = found.model_dump(mode="json")
            console.result({"policy": tree}, yaml.safe_dump(tree, sort_keys=False, allow_unicode=True).rstrip())
            return
        if reason is None:
            raise ConfigError("a policy changes for a reason", where="--reason", todo="Say it")
        wanted = changed(found if file is None else read_policy(file), changes or ())
        event = registry.rule(wanted, reason, identity=place.identity(), at=now())
        tree, said = written(event, names(registry))
        console.result(tree, said)
