"""zogan init: a commented zogan.yaml beside your data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from zogan.cli.console import Console
from zogan.cli.options import Debug, Json, Quiet


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init", epilog="Example: zogan init my-data --model models/base")(init)


def init(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Where your data is.", show_default="here")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A transformers folder, a .gguf file or package:NAME.", show_default="from DIR")
    ] = None,
    task: Annotated[
        Literal["classification", "generation"] | None,
        typer.Option(help="What a row is.", show_default="from the data's columns"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a zogan.yaml that is there.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write a commented zogan.yaml beside your data, with names of files and columns filled in where they are plain."""
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.cli.starter import survey, template
        from zogan.errors import ConfigError

        folder = folder or Path()
        path = folder / "zogan.yaml"
        if folder.exists() and not folder.is_dir():
            raise ConfigError("is a file, not a folder", where=str(folder))
        if path.exists() and not force:
            raise ConfigError("exists already", where=str(path), todo="Give --force to replace it")
        found = survey(folder, model=model, task=task)
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.partial")
        partial.write_text(template(found), encoding="utf-8")
        partial.replace(path)
        value = {"config": path, "found": found.values, "to_fill_in": found.missing}
        lines = [f"written: {path}"]
        lines += [f"found:   {key}: {text}" for key, text in found.values.items()]
        lines += [f"fill in: {key}" for key in found.missing]
        if not found.missing:
            lines.append(f"next:    zogan data check {path}" if folder != Path() else "next:    zogan data check")
        console.result(value, *lines)
