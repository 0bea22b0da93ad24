"""zogan registry add, evaluate, show, retire: a patch's life."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zogan.cli.console import Console
from zogan.cli.looks import now
from zogan.cli.registry.shown import (
    NONE_YET,
    event_tree,
    events_table,
    names,
    patch_tree,
    patches_table,
    short,
    written,
)
from zogan.cli.registry.verb import Place, verb

if TYPE_CHECKING:
    from zogan.registry.registry import Registry

Patch = Annotated[str, typer.Argument(metavar="PATCH", help="Its digest, or the beginning of it, or an alias.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("add", epilog="Example: zogan registry add runs/first --note 'with the March complaints'")(add)
    group.command("evaluate", epilog="Example: zogan registry evaluate runs/first")(evaluate)
    group.command("show", epilog="Example: zogan registry show 3fa94b01")(show)
    group.command("fetch", epilog="Example: zogan registry fetch support/production -o what-answers")(fetch)
    group.command("retire", epilog="Example: zogan registry retire 3fa94b01 --reason 'the product is gone'")(retire)


@verb
def add(
    place: Place,
    console: Console,
    source: Annotated[Path, typer.Argument(metavar="PATCH", help="A patch file, or a run's folder.")],
    note: Annotated[str | None, typer.Option("--note", help="What it is for.", show_default=False)] = None,
) -> None:
    """Make a patch a candidate. You are its author, and do not approve it."""
    file = source / "patch.safetensors" if source.is_dir() else source
    with place.open() as registry:
        event = registry.add(file, note=note, identity=place.identity(), at=now())
        tree, said = written(event, names(registry))
        console.result(tree, said)


@verb
def evaluate(
    place: Place,
    console: Console,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of the run that made and judged the patch.")],
) -> None:
    """Bring a run's verdict and evidence on its patch; approvals on earlier evidence are void."""
    with place.open() as registry:
        event = registry.evaluate(run, identity=place.identity(), at=now())
        tree, said = written(event, names(registry))
        console.result(tree, said)


@verb
def show(
    place: Place,
    console: Console,
    patch: Annotated[
        str | None,
        typer.Argument(metavar="PATCH", help="Its digest, or the beginning of it, or an alias.", show_default="all"),
    ] = None,
    base: Annotated[str | None, typer.Option("--base", help="Only patches on this base.", show_default=False)] = None,
    stage: Annotated[
        str | None, typer.Option("--stage", help="Only patches at this stage.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50,
    before: Annotated[
        int | None, typer.Option("--before", help="Those added before this event: the next page.", show_default=False)
    ] = None,
) -> None:
    """Show a patch's whole life; or, without one, what stands where and the last patches."""
    with place.open() as registry:
        if patch is None:
            _all(registry, console, base, stage, limit, before)
        else:
            _one(registry, console, patch)


@verb
def fetch(
    place: Place,
    console: Console,
    patch: Patch,
    folder: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="A new folder.")],
) -> None:
    """Write a patch and the evidence on it into a new folder, to apply the one and open the other."""
    with place.open() as registry:
        found = registry.fetch(registry.find(patch), folder)
    said = "no evidence yet" if found.evidence is None else f"evidence of event {found.evidence:,}"
    console.result(
        {**asdict(found), "folder": str(found.folder)},
        f"patch {found.patch[:12]}, {said}: {len(found.files):,} files in {found.folder}",
    )


@verb
def retire(place: Place, console: Console, patch: Patch, reason: Reason) -> None:
    """Take a patch out of use for good."""
    with place.open() as registry:
        event = registry.retire(registry.find(patch), reason, identity=place.identity(), at=now())
        tree, said = written(event, names(registry))
        console.result(tree, said)


def _all(
    registry: Registry, console: Console, base: str | None, stage: str | None, limit: int, before: int | None
) -> None:
    from zogan.registry.asked import staged

    people = names(registry)
    if base is not None:
        base = registry.base(base)
    patches = registry.patches(limit=limit, before=before, base=base, stage=staged(stage))
    aliases = registry.aliases()
    value = {
        "aliases": [one.model_dump(mode="json") for one in aliases],
        "patches": [patch_tree(one, people) for one in patches],
    }
    stands = [f"{one.name}: {short(one.patch)} on base {short(one.base)}, since event {one.since:,}" for one in aliases]
    more = [f"more: --before {patches[-1].number}"] if len(patches) == limit else []
    listed = (
        patches_table(patches, people) if patches else NONE_YET if (base, stage, before) == (None,) * 3 else "no patch"
    )
    console.result(value, *stands, listed, *more)


def _one(registry: Registry, console: Console, patch: str) -> None:
    people, found = names(registry), registry.find(patch)
    life = registry.life(found)
    about = [
        ("patch", found.digest),
        ("stage", found.stage + (f", at {', '.join(sorted(found.places))}" if found.places else "")),
        ("base", found.base),
        ("parent", found.parent or "–"),
        ("author", people.get(found.author, found.author)),
        ("changed", f"{found.changed:,} of {found.weights:,} weights; {found.bytes:,} bytes"),
    ]
    if found.depth > 1:
        piled = f"{found.depth:,} patches on each other, which change at most {found.piled:,} weights"
        about.append(("stack", piled))
    if found.evidence is not None:
        said = found.evidence
        about.append(("verdict", f"{said.outcome}{', exploratory' if said.exploratory else ''}, event {said.number:,}"))
        about.append(("figure", f"{said.metric} {said.after:.4g} against {said.rival:.4g}, {said.rows:,} rows"))
        about += [("unmet", ", ".join(name for _, name in said.unmet))] if said.unmet else []
    about += [("approved", f"{people.get(one.by, one.by)}, {one.at}, event {one.number:,}") for one in found.approvals]
    about += [
        ("waived", f"{one.clause} until {one.until}; {people.get(one.owner, one.owner)} answers: {one.reason}")
        for one in found.waivers
    ]
    about += [("child", one) for one in life.children]
    value = {
        "patch": patch_tree(found, people),
        "events": [event_tree(one, people) for one in life.events],
        "children": life.children,
    }
    console.result(value, *(f"{name + ':':<10}{fact}" for name, fact in about), events_table(life.events, people))
