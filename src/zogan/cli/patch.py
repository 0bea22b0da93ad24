"""zogan patch: show, apply, revert. What is done with several patches is in `patch_stack`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zogan.cli import patch_export, patch_stack
from zogan.cli.console import Console
from zogan.cli.options import Debug, Json, Quiet
from zogan.cli.patch_folder import folder_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from zogan.patch import FolderResult

File = Annotated[Path, typer.Argument(metavar="FILE", help="The patch.")]
Folder = Annotated[str, typer.Argument(metavar="FOLDER", help="The model's folder.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", metavar="OUT", help="A new folder for the result.")]
InPlace = Annotated[bool, typer.Option("--in-place", help="Change FOLDER itself, safely against a crash.")]


def register(app: typer.Typer) -> None:
    """Add the group and its commands."""
    group = typer.Typer(
        help="Show a patch, apply it, take it back; compare, compose, rebase, export.", no_args_is_help=True
    )
    group.command("show", epilog="Example: zogan patch show runs/first/patch.safetensors")(show)
    group.command("apply", epilog="Example: zogan patch apply patch.safetensors models/base -o models/tuned")(apply)
    group.command("revert", epilog="Example: zogan patch revert patch.safetensors models/tuned --in-place")(revert)
    patch_stack.register(group)
    patch_export.register(group)
    app.add_typer(group, name="patch")


def show(file: File, as_json: Json = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """Say what a patch holds, and what it belongs to; the whole file is proved on the way."""
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.cli.tables import table
        from zogan.patch import describe
        from zogan.patch.meta import TEMPERATURE
        from zogan.report.words import Words

        found, words = describe(file), Words("en")
        facts = [
            ("file", f"{found.path} ({words.size(found.file_bytes)}, format {found.format})"),
            ("patch", found.digest),
            ("base", found.base),
            ("task", str(found.task.get("name", found.task.get("task", "–")))),
            ("changed", f"{found.changed:,} of {found.base_weights:,} weights ({words.small_percent(found.density)})"),
        ]
        if TEMPERATURE in found.task:
            facts.append(("temperature", f"{found.task[TEMPERATURE]:g} (divide the logits by it)"))
        facts += [("parent", found.parent)] if found.parent else []
        changes = [
            (
                one.name,
                one.dtype,
                " × ".join(map(str, one.shape)),
                f"{one.changed:,}",
                words.small_percent(one.changed / one.weights),
                "–" if one.largest_change is None else f"{one.largest_change:.3g}",
            )
            for one in found.changes
        ]
        new = [(one.name, one.dtype, " × ".join(map(str, one.shape))) for one in (*found.tensors, *found.adapters)]
        shown: list[RenderableType] = [f"{name + ':':<13}{fact}" for name, fact in facts]
        if changes:
            columns = ("changed tensor", "dtype", "shape", "weights", "share", "largest change")
            shown.append(table(columns, changes, numbers=3))
        if new:
            shown.append(table(("new tensor", "dtype", "shape"), new))
        console.result(found.model_dump(mode="json"), *shown)


def apply(
    file: File,
    folder: Folder,
    output: Output = None,
    in_place: InPlace = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Put a patch's new values into a model: into a new folder, or in place.

    FOLDER may also be a .gguf file or package:NAME, as in `model:`; these need a new folder.
    """
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        _choose(output, in_place)
        from zogan.patch import apply_folder

        source = folder_of(folder, console, in_place=in_place)
        _told(apply_folder(file, source, output, in_place=in_place, progress=console), console)


def revert(
    file: File,
    folder: Folder,
    output: Output = None,
    in_place: InPlace = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Give the base back bit for bit: into a new folder, or in place. Needs the patch alone."""
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        _choose(output, in_place)
        from zogan.patch import revert_folder

        _told(revert_folder(file, Path(folder), output, in_place=in_place, progress=console), console)


def _choose(output: Path | None, in_place: bool) -> None:
    from zogan.errors import ZoganError

    if (output is None) != in_place:
        what = "nothing says where the result goes" if output is None else "--output and --in-place exclude each other"
        raise ZoganError(what, todo="Give either -o OUT, a new folder, or --in-place")


def _told(result: FolderResult, console: Console) -> None:
    done = {"apply": "applied", "revert": "reverted"}[result.operation]
    sentence = f"{done}: {result.weights:,} weights in {result.tensors:,} tensors of {result.folder}"
    console.result(result.model_dump(mode="json"), sentence)
