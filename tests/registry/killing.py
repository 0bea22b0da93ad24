"""Kill writers with SIGKILL in the middle of operations; print what was found behind each, as JSON, a line each.

Run by test_kills.py. Its own process, so that it may fork. Every second one is killed at a random instant; the others
kill themselves before a statement to the database, before a commit, or on the way of a file to its name.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event

from made_up import AT, OPERATOR, Place, add, evaluate, key
from zogan.errors import ZoganError
from zogan.registry.registry import Registry

STATEMENTS = 14
"""Of an operation, about."""

POINTS = ("statement", "replace", "commit", "fsync")

ALIAS = "support/production"


def work(registry: Registry, draw: random.Random, name: str) -> None:
    """One patch, as far as production, and sometimes back: four or five events."""
    patch = registry.find(str(add(registry, name).patch))
    evaluate(registry, patch, name)
    registry.approve(registry.find(patch.digest), identity=key("reviewer 0"), at=AT)
    standing = {one.name: one for one in registry.aliases()}.get(ALIAS)
    registry.promote(
        registry.find(patch.digest),
        ALIAS,
        instead=None if standing is None else standing.patch,
        identity=OPERATOR,
        at=AT,
    )
    if standing is not None and draw.random() < 0.5:
        alias = registry.alias(ALIAS)
        registry.roll_back(alias, registry.target(alias, "base"), "it fails", identity=OPERATOR, at=AT)


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def aim(registry: Registry, draw: random.Random, point: str) -> None:
    """Let this process die at a point that is drawn."""
    left = draw.randrange(STATEMENTS * 5)

    def count(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            die()

    if point == "statement":
        event.listen(registry.database.engine, "before_cursor_execute", count)
    elif point == "commit":
        left %= 5
        event.listen(registry.database.engine, "commit", count)
    else:
        left %= 3
        holder: Any = os if point == "fsync" else Path
        setattr(holder, point, after(count, getattr(holder, point)))


def after(first: Callable[[], None], then: Callable[..., Any]) -> Callable[..., Any]:
    def both(*arguments: Any) -> Any:
        first()
        return then(*arguments)

    return both


def start(place: Place, turn: int, at_work: mmap.mmap, *, aimed: bool) -> int:
    at_work[0] = False
    child = os.fork()
    if child == 0:
        draw = random.Random(turn)
        try:
            with place.open() as registry:
                if aimed:
                    aim(registry, draw, POINTS[turn // 2 % len(POINTS)])
                at_work[0] = True
                for count in range(1000):
                    work(registry, draw, f"{turn}-{count}")
        finally:
            os._exit(1)
    return child


def main(folder: Path, kills: int, url: str | None = None) -> None:
    place = Place(folder, url)
    place.begin(1)
    draw, memory = random.Random(0), folder / "heads.json"
    started = time.monotonic()
    with place.open() as registry:
        work(registry, draw, "first")
    seconds = time.monotonic() - started
    at_work = mmap.mmap(-1, 1)
    for turn in range(kills):
        child = start(place, turn, at_work, aimed=bool(turn % 2))
        if not turn % 2:
            while not at_work[0]:
                time.sleep(0.001)
            time.sleep(draw.uniform(0, 2 * seconds))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        line: dict[str, Any] = {"killed": os.WIFSIGNALED(status)}
        with Registry(url or str(folder / "registry.db"), str(folder / "blobs"), memory=memory) as registry:
            try:
                after_it = registry.rule(registry.policy(), f"goes on after {turn}", identity=key("owner"), at=AT)
                found = registry.verify(files=turn == kills - 1)
                line |= {
                    "went_on": after_it.number,
                    "events": found.events,
                    "faults": [str(one) for one in found.faults],
                }
            except ZoganError as error:
                line |= {"faults": [str(error)]}
        sys.stdout.write(f"{json.dumps(line)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
