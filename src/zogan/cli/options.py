"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_SHARED = "Shared by all commands"

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="The configuration.", show_default="zogan.yaml")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, such as train.epochs=3; repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=_SHARED)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no notes.", rich_help_panel=_SHARED)]
Gate = Annotated[bool, typer.Option("--gate", help="Leave with code 3 where the verdict is not accepted.")]
Debug = Annotated[bool, typer.Option("--debug", help="On an error, show the traceback.", rich_help_panel=_SHARED)]

DEFAULT_CONFIG = Path("zogan.yaml")
