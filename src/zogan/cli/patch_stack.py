"""zogan patch: diff, conflicts, compose, remove, rebase. What is done with several patches on one base."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from zogan.cli.console import Console
from zogan.cli.options import Debug, Json, Quiet
from zogan.cli.patch_folder import folder_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from zogan.patch.conflicts import Conflicts
    from zogan.patch.diff import Difference, PatchDifference

A = Annotated[Path, typer.Argument(metavar="A", help="A patch.")]
B = Annotated[Path, typer.Argument(metavar="B", help="Another patch.")]
Stack = Annotated[list[Path], typer.Argument(metavar="PATCH", help="The patches, from the lowest up.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="The patch.")]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="The patch file to write.")]
NewFolder = Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="A new folder for what is written.")]
Base = Annotated[
    str | None,
    typer.Option("--base", metavar="FOLDER", help="The lowest patch's own base.", show_default=False),
]
Place = Annotated[int, typer.Option("--out", metavar="N", help="Which patch goes; the lowest is 1.")]
Onto = Annotated[str, typer.Option("--onto", metavar="FOLDER", help="The base as it is now.")]
Keep = Annotated[
    Literal["values", "difference"],
    typer.Option("--keep", help="Where the base moved: the patch's new value, or its difference from the old one."),
]


def register(group: typer.Typer) -> None:
    """Add the commands to `zogan patch`."""
    group.command("diff", epilog="Example: zogan patch diff first.safetensors second.safetensors")(diff)
    group.command("conflicts", epilog="Example: zogan patch conflicts first.safetensors second.safetensors")(conflicts)
    group.command(
        "compose", epilog="Example: zogan patch compose first.safetensors second.safetensors -o both.safetensors"
    )(compose)
    group.command(
        "remove", epilog="Example: zogan patch remove a.safetensors b.safetensors --out 1 --base models/base -o without"
    )(remove)
    group.command(
        "rebase", epilog="Example: zogan patch rebase patch.safetensors --onto models/newer -o newer.safetensors"
    )(rebase)


def diff(a: A, b: B, as_json: Json = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """Hold two patches side by side: positions, norms, new tensors, adapters and metadata."""
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.patch import diff_patches

        found = diff_patches(a, b, progress=console)
        console.result(found.model_dump(mode="json"), *_difference(found))


def conflicts(stack: Stack, as_json: Json = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """Say where patches change the same weights, and whether each was made on the result of those before it."""
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.patch import find_conflicts

        found = find_conflicts(stack, progress=console)
        console.result(found.model_dump(mode="json"), *_conflicts(found))


def compose(
    stack: Stack, output: Output, base: Base = None, as_json: Json = False, quiet: Quiet = False, debug: Debug = False
) -> None:
    """Make one patch of a stack: on the base it does, bit for bit, what the stack does in turn.

    With --base every tensor is proved against the folder too.
    """
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.patch import compose_patches

        done = compose_patches(stack, output, base=_base(base, console), progress=console)
        back = f"; {done.returned:,} positions ended at the base's own value and left" if done.returned else ""
        console.result(
            done.model_dump(mode="json"),
            f"composed: {len(done.parts)} patches with {done.listed:,} entries into {done.weights:,} weights{back}",
            f"written:  {done.path} (patch {done.patch[:12]}, base {done.base[:12]})",
        )


def remove(
    stack: Stack,
    out: Place,
    output: NewFolder,
    base: Base = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Take one patch out of a stack; those above it are written anew into OUT.

    Refused where one above changes a weight that it changes. --base is needed unless the last one goes.
    """
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.cli.tables import table
        from zogan.patch import remove_patch

        done = remove_patch(stack, out, output, base=_base(base, console), progress=console)
        rows = [(str(one.path), one.was[:12], one.patch[:12], one.base[:12]) for one in done.rewritten]
        shown: list[RenderableType] = [f"removed: patch {done.removed[:12]}, {done.weights:,} weights"]
        if done.tensors:
            shown.append(f"with it, unless another patch brings them: {', '.join(done.tensors)}")
        if rows:
            shown.append(table(("written anew", "was", "patch", "base"), rows))
        shown.append(f"the stack now: {' '.join(map(str, done.stack)) or 'empty'}")
        console.result(done.model_dump(mode="json"), *shown)


def rebase(
    file: File,
    onto: Onto,
    output: Output,
    keep: Keep = "values",
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Put a patch onto a base that has changed since, and say what moved under it."""
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.cli.tables import table
        from zogan.patch import rebase_patch

        done = rebase_patch(file, folder_of(onto, console), output, keep=keep, progress=console)
        rows = [
            (
                one.name,
                f"{one.listed:,}",
                f"{one.moved:,}",
                f"{one.dropped:,}",
                "–" if one.largest_move is None else f"{one.largest_move:.3g}",
                ", ".join(str(at.position) for at in one.first),
            )
            for one in done.changes
            if one.moved
        ]
        shown: list[RenderableType] = [
            f"rebased: {done.weights:,} weights from base {done.was_base[:12]} onto {done.base[:12]}; under"
            f" {done.moved:,} the base had moved, {done.dropped:,} hold the wanted value already and are dropped",
            f"written: {done.path} (patch {done.patch[:12]})",
        ]
        if rows:
            columns = ("moved tensor", "weights", "moved", "dropped", "largest move", "first positions")
            shown.append(table(columns, rows, numbers=5))
        console.result(done.model_dump(mode="json"), *shown)


def _base(source: str | None, console: Console) -> Path | None:
    return None if source is None else folder_of(source, console)


def _difference(found: PatchDifference) -> list[RenderableType]:
    from zogan.cli.tables import table
    from zogan.report.words import Words

    words = Words("en")
    said = {"stack": "B was made on A's result", "competes": "both were made on the same base"}

    def cells(one: Difference) -> tuple[str, ...]:
        norms = ("–" if norm is None else f"{norm:.4g}" for norm in (one.norm_a, one.norm_b, one.norm_difference))
        counts = (f"{count:,}" for count in (one.only_a, one.only_b, one.both, one.differ))
        return (one.name, *counts, words.size(one.bytes_a), words.size(one.bytes_b), *norms)

    columns = ("only A", "only B", "both", "differ", "A's size", "B's size", "norm A", "norm B", "norm A−B")
    shown: list[RenderableType] = [
        f"A: {found.a}",
        f"B: {found.b}",
        f"bases: {said.get(found.relation, 'B was made on another base')}",
        table(("layer", *columns), [cells(one) for one in (*found.layers, found.total)], numbers=9),
        table(("tensor", *columns), [cells(one) for one in found.changes], numbers=9),
    ]
    beside = [
        (one.name, one.state, one.a or "–", one.b or "–", "–" if one.largest is None else f"{one.largest:.3g}")
        for one in (*found.tensors, *found.adapters)
    ]
    if beside:
        shown.append(table(("new tensor", "state", "A", "B", "largest difference"), beside, numbers=1))
    if found.metadata:
        rows = [(one.key, _shortly(one.a), _shortly(one.b)) for one in found.metadata]
        shown.append(table(("metadata", "A", "B"), rows))
    return shown


def _conflicts(found: Conflicts) -> list[RenderableType]:
    from zogan.cli.tables import table

    said = {
        None: "the lowest",
        "stack": "follows",
        "competes": "competes",
        "other base": "other base",
    }
    patches = [
        (str(one.place), str(one.path), one.patch[:12], one.base[:12], said[one.relation]) for one in found.patches
    ]
    verdict = "a stack" if found.stack else "no stack"
    rest = "no weight is changed twice" if found.disjoint else "some weights are changed twice"
    shown: list[RenderableType] = [
        f"{verdict}: {rest}",
        table(("", "file", "patch", "base", "stands"), patches),
    ]
    if found.meetings:
        rows = [
            (
                one.tensor,
                f"{one.below} → {one.above}",
                *(f"{count:,}" for count in (one.shared, one.follow, one.compete, one.foreign)),
                ", ".join(str(at.position) for at in one.first),
            )
            for one in found.meetings
        ]
        columns = ("tensor", "patches", "shared", "follow", "compete", "foreign", "first positions")
        shown.append(table(columns, rows, numbers=5))
    for what, names in (("new tensor", found.tensors), ("adapters on", found.adapters)):
        if names:
            several = [(one.name, ", ".join(map(str, one.places))) for one in names]
            shown.append(table((what, "in patches"), several))
    return shown


def _shortly(value: object) -> str:
    shown = "–" if value is None else str(value)
    return shown if len(shown) <= 60 else f"{shown[:59]}…"
