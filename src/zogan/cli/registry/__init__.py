"""zogan registry: every patch, event and decision."""

from __future__ import annotations

import typer

from zogan.cli.registry import begin, decisions, exchange, history, identity, keeping, patches, places, policy, proof


def register(app: typer.Typer) -> None:
    """Add the group and its commands."""
    group = typer.Typer(
        help="Every patch, event and decision: who approved what, on what evidence, and how to go back.",
        no_args_is_help=True,
    )
    for part in (begin, identity, policy, patches, decisions, places, history, proof, keeping, exchange):
        part.register(group)
    app.add_typer(group, name="registry")
