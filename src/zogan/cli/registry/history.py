"""zogan registry log, why, explain: questions to the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zogan.cli.console import Console
from zogan.cli.looks import now
from zogan.cli.registry.shown import (
    NONE_YET,
    event_tree,
    events_table,
    line,
    names,
    patch_tree,
    patches_table,
    short,
)
from zogan.cli.registry.verb import Place, verb

if TYPE_CHECKING:
    from zogan.registry.registry import Registry

Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]
Before = Annotated[int | None, typer.Option("--before", help="Before this event: the next page.", show_default=False)]


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("log", epilog="Example: zogan registry log --alias support/production")(log)
    group.command("why", epilog="Example: zogan registry why support/production --at 2026-03-14")(why)
    group.command("explain", epilog="Example: zogan registry explain encoder.layer.5.output.dense.weight")(explain)


@verb
def log(
    place: Place,
    console: Console,
    patch: Annotated[str | None, typer.Option("--patch", help="Only events about it.", show_default=False)] = None,
    alias: Annotated[str | None, typer.Option("--alias", help="Only events that move it.", show_default=False)] = None,
    limit: Limit = 50,
    before: Before = None,
    graph: Annotated[bool, typer.Option("--graph", help="The tree of bases and patches instead.")] = False,
) -> None:
    """List events, the newest first; or draw which patch was made from which."""
    with place.open() as registry:
        if graph:
            _graph(registry, console, limit, before)
            return
        people = names(registry)
        digest = None if patch is None else registry.find(patch).digest
        events = registry.log(limit=limit, before=before, patch=digest, alias=alias)
        more = [f"more: --before {events[-1].number}"] if len(events) == limit else []
        console.result({"events": [event_tree(one, people) for one in events]}, events_table(events, people), *more)


@verb
def why(
    place: Place,
    console: Console,
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="Task and place, such as support/production.")],
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="TIME", help="A day (its end) or a time, UTC where no zone is given.", show_default="now"
        ),
    ] = None,
) -> None:
    """Say which patch stood at an alias at a time, by whose word, and on what evidence."""
    from zogan.registry.asked import moment

    with place.open() as registry:
        people = names(registry)
        found = registry.why(alias, now() if at is None else moment(at))
        by = people.get(found.moved.by, short(found.moved.by))
        shown = [
            f"{alias} at {found.at}: {'the bare base' if found.patch is None else f'patch {found.patch.digest}'}",
            f"put there: {found.moved.at} by {by}, event {found.moved.number:,}: {line(found.moved, people)}",
        ]
        for name, one in (("evidence", found.evidence), *(("approved", one) for one in found.approvals)):
            if one is not None:
                shown.append(f"{name}: {one.at} by {people.get(one.by, short(one.by))}: {line(one, people)}")
        shown += [f"waived: {line(one, people)}" for one in found.waivers]
        if found.evidence is not None:
            shown += [f"  {what}: sha256 {digest}" for what, digest in sorted(found.evidence.blobs.items())]
        if found.before is not None:
            shown.append(f"before that: {line(found.before, people)}")
            shown.append(f"back: zogan registry rollback {alias} --to {short(found.before.patch)} --reason …")
        value = {
            "alias": alias,
            "at": found.at,
            "patch": None if found.patch is None else patch_tree(found.patch, people),
            "moved": event_tree(found.moved, people),
            "evidence": None if found.evidence is None else event_tree(found.evidence, people),
            "approvals": [event_tree(one, people) for one in found.approvals],
            "waivers": [event_tree(one, people) for one in found.waivers],
            "before": None if found.before is None else event_tree(found.before, people),
        }
        console.result(value, *shown)


@verb
def explain(
    place: Place,
    console: Console,
    tensor: Annotated[str, typer.Argument(metavar="TENSOR", help="A tensor of the base.")],
    limit: Limit = 50,
    before: Before = None,
) -> None:
    """Say which patches ever touched a tensor, the newest first."""
    with place.open() as registry:
        people = names(registry)
        found = registry.touching(tensor, limit=limit, before=before)
        more = [f"more: --before {found[-1].number}"] if len(found) == limit else []
        value = {"tensor": tensor, "patches": [patch_tree(one, people) for one in found]}
        console.result(value, patches_table(found, people), *more)


def _graph(registry: Registry, console: Console, limit: int, before: int | None) -> None:
    from rich.text import Text
    from rich.tree import Tree

    patches = registry.patches(limit=limit, before=before)
    there = {one.digest: one for one in patches}
    children: dict[str | None, list[str]] = {}
    for one in reversed(patches):
        root = one.parent if one.parent in there else f"base {one.base}"
        children.setdefault(root, []).append(one.digest)
    drawn = Tree("registry", hide_root=True)
    waiting = [(drawn.add(Text(f"base {short(key[5:])}")), key) for key in children if key and key.startswith("base ")]
    while waiting:
        node, key = waiting.pop()
        for digest in children.get(key, []):
            one = there[digest]
            places = f" @ {', '.join(sorted(one.places))}" if one.places else ""
            outside = f" (from {short(one.parent)})" if one.parent and one.parent not in there else ""
            label = f"{short(digest)} {one.stage}{places}{outside}" + (f"  {one.note}" if one.note else "")
            waiting.append((node.add(Text(label)), digest))
    value = {
        "patches": [
            {
                "patch": one.digest,
                "parent": one.parent,
                "base": one.base,
                "stage": one.stage,
                "places": sorted(one.places),
            }
            for one in patches
        ]
    }
    more = [f"more: --before {patches[-1].number}"] if len(patches) == limit else []
    console.result(value, drawn if patches else NONE_YET, *more)
