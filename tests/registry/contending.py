"""Processes that promote, approve and roll back at random in one registry; print what each was told, as JSON.

Run by test_contending.py. Its own process, so that it may fork: each has its keys at once, and opens the registry anew.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier as Meeting
from pathlib import Path
from typing import Any

from made_up import AT, OPERATOR, Place, add, evaluate, key
from zogan.errors import ZoganError
from zogan.registry.event import Event
from zogan.registry.registry import Registry

ALIASES = ("support/pilot", "support/production", "sales/production")

Told = dict[str, Any]
"""What was asked, and the event's number, or the error and its line."""


def told(what: str, act: Callable[[], Event]) -> Told:
    try:
        return {"what": what, "number": act().number}
    except ZoganError as error:
        return {"what": what, "kind": type(error).__name__, "line": str(error)}


def at_random(registry: Registry, digests: list[str], draw: random.Random, mine: int) -> Told:
    """One operation of a person who looks first, and acts on what he has seen."""
    patch = registry.find(draw.choice(digests))
    standing = {one.name: one for one in registry.aliases()}
    name, at = draw.choice(ALIASES), AT
    what = draw.choices(("promote", "approve", "rollback", "evaluate"), (5, 5, 4, 1))[0]
    if what == "evaluate":
        return told(what, lambda: evaluate(registry, patch, f"{mine} {draw.random()}"))
    if what == "approve":
        return told(what, lambda: registry.approve(patch, identity=key(f"reviewer {mine}"), at=at))
    if what == "promote" or name not in standing:
        instead = standing[name].patch if name in standing else None
        return told("promote", lambda: registry.promote(patch, name, instead=instead, identity=OPERATOR, at=at))
    alias = standing[name]
    return told(
        what,
        lambda: registry.roll_back(alias, registry.target(alias, None), "it fails", identity=OPERATOR, at=at),
    )


def contend(
    place: Place, digests: list[str], operations: int, meetings: int, processes: int, meeting: Meeting, mine: int
) -> list[list[Told]]:
    """What a process was told: at each meeting, where all move one alias on what they have seen, and in between."""
    draw, found = random.Random(mine), []
    with place.open() as registry:
        for turn in range(meetings):
            meeting.wait()
            seen = {one.name: one.patch for one in registry.aliases()}.get("race/production")
            wanted = registry.find(digests[(mine + turn * processes) % len(digests)])
            meeting.wait()
            move = partial(registry.promote, wanted, "race/production", instead=seen, identity=OPERATOR, at=AT)
            found.append([told("race", move)])
        found.append([at_random(registry, digests, draw, mine) for _ in range(operations // processes)])
    return found


def main(folder: Path, operations: int, processes: int, meetings: int, url: str | None = None) -> None:
    place = Place(folder, url)
    place.begin(processes)
    # More patches than fit into two meetings: nobody wants what stands there.
    with place.open() as registry:
        digests = [str(add(registry, str(seed)).patch) for seed in range(2 * processes)]
        for digest in digests:
            evaluate(registry, registry.find(digest), "first")
            registry.approve(registry.find(digest), identity=key("reviewer 0"), at=AT)
        begun = registry.head().number
    context = get_context("fork")
    meeting, out = context.Barrier(processes), context.SimpleQueue()

    def run(mine: int) -> None:
        out.put(contend(place, digests, operations, meetings, processes, meeting, mine))

    running = [context.Process(target=run, args=(mine,)) for mine in range(processes)]
    for one in running:
        one.start()
    said = [out.get() for _ in running]
    for one in running:
        one.join()
    sys.stdout.write(json.dumps({"begun": begun, "told": said}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
