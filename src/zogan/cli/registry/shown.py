"""Events, patches and people in words, as the registry's commands print them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from zogan.cli.tables import table

if TYPE_CHECKING:
    from rich.table import Table

    from zogan.registry.event import Event
    from zogan.registry.registry import Registry
    from zogan.registry.state import PatchState

NONE_YET = "no patch yet: zogan registry add RUN"
"""Where there is none to list."""

NAMED = 12
"""Digits of a digest that are shown."""


def names(registry: Registry) -> dict[str, str]:
    """Everyone's name, by keyid."""
    return {one.keyid: one.name for one in registry.people()}


def short(digest: str | None) -> str:
    """A digest's beginning; the bare base for none."""
    return "base" if digest is None else digest[:NAMED]


def line(event: Event, people: Mapping[str, str]) -> str:
    """What an event says, in one line."""
    body: Any = event.body
    patch = short(event.patch) if event.patch else ""
    said = {
        "begin": lambda: f"the registry begins, owned by {body.name}",
        "enrol": lambda: f"{body.name} is enrolled as {', '.join(body.roles)}",
        "revoke": lambda: f"the key of {people.get(body.person, short(body.person))} is revoked: {body.reason}",
        "policy": lambda: f"another policy is in force: {body.reason}",
        "add": lambda: f"{patch} is a candidate on base {short(body.base)}" + (f": {body.note}" if body.note else ""),
        "evaluate": lambda: (
            f"{patch} is evaluated: {body.outcome}"
            + (", exploratory" if body.exploratory else "")
            + f", {body.metric} {body.after:.4g} against {body.rival:.4g}"
        ),
        "approve": lambda: (
            f"{patch} is approved on event {body.evaluation:,}" + (f": {body.note}" if body.note else "")
        ),
        "reject": lambda: f"{patch} is rejected: {body.reason}",
        "waive": lambda: (
            f"{body.clause} is waived for {patch} until {body.until}; "
            f"{people.get(body.owner, short(body.owner))} answers for it: {body.reason}"
        ),
        "promote": lambda: (
            f"{body.alias} stands for {patch}" + (f", before for {short(body.instead)}" if body.instead else "")
        ),
        "rollback": lambda: (
            f"{body.alias} is rolled back to {short(body.patch)} from {short(body.instead)}: {body.reason}"
        ),
        "retire": lambda: f"{patch} is retired: {body.reason}",
    }
    return said[body.kind]()


def events_table(events: Iterable[Event], people: Mapping[str, str]) -> Table:
    """Events, one a row."""
    rows = [
        (f"{one.number:,}", one.at, people.get(one.by, short(one.by)), one.body.kind, line(one, people))
        for one in events
    ]
    return table(("event", "at", "by", "", "what"), rows)


def event_tree(event: Event, people: Mapping[str, str]) -> dict[str, Any]:
    """An event for machines, with the name of who signed."""
    return {**event.shown(), "name": people.get(event.by), "what": line(event, people)}


def patches_table(patches: Iterable[PatchState], people: Mapping[str, str]) -> Table:
    """Patches, one a row."""
    rows = [
        (
            short(one.digest),
            one.stage,
            ", ".join(sorted(one.places)) or "–",
            short(one.base),
            "–" if one.parent is None else short(one.parent),
            people.get(one.author, short(one.author)),
            one.at[:10],
            "–" if one.evidence is None else f"{one.evidence.metric} {one.evidence.after:.4g}",
        )
        for one in patches
    ]
    return table(("patch", "stage", "stands at", "base", "parent", "author", "added", "figure"), rows)


def patch_tree(patch: PatchState, people: Mapping[str, str]) -> dict[str, Any]:
    """A patch for machines."""
    return {**patch.model_dump(mode="json"), "stage": patch.stage, "author_name": people.get(patch.author)}


def written(event: Event, people: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """An event that was just written: for machines, and in words."""
    return event_tree(event, people), f"event {event.number:,}: {line(event, people)}"
