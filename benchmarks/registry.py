"""Claim: with 100,000 patches and 1,000,000 events the registry answers at once, and is proved at the disk's pace.

Times are those inside the process, with the registry open: medians, and the longest. Promotions and rollbacks are
written to the disk, and hash the patch's file (0.6 MB) and its evidence first.

- `first`: the whole check on a machine that has never seen the registry, with every signature; on a registry of
  `--first-patches`, as its pace does not hang on the size. The figure for one process is what one core gives.
- `rules anew`: signatures were checked here before, but what followed from the log is not at hand, as after an update.
- `usual`: the whole check where all was proved here before: each byte hashed anew, and the tables compared.
- `new`: `verify --new` where all but the first four events are new, signatures and all; `new, few` where it is those
  that were measured above.

The filled registry stays in the cache's folder for the next call. A million events take some minutes, once.

    python benchmarks/registry.py [--patches 100000] [--url postgresql://USER@HOST/EMPTY] [--json FILE]
    python benchmarks/registry.py --patches 1000        # under a minute
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from filling import OPERATOR, START, STEPS, Place, digest, fill
from keeping import keep
from zogan.registry.log import Head, signed
from zogan.registry.registry import Registry
from zogan.registry.remembered import Remembered

GOALS = {"promote": 100, "rollback": 50}


def timed(act: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds, and those of them that this process computed."""
    start, spent = time.perf_counter(), time.process_time()
    act()
    return (time.perf_counter() - start) * 1e3, (time.process_time() - spent) * 1e3


def latencies(registry: Registry, at: str, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds of each, by what was asked."""
    newest, place = registry.patches(limit=rounds + 1), f"benchmark-{registry.head().number}/production"
    registry.promote(newest[-1], place, instead=None, identity=OPERATOR, at=at)
    found: dict[str, list[tuple[float, float]]] = {}
    end = datetime.fromisoformat(at)
    for turn, patch in enumerate(newest[:-1]):
        old = registry.find(digest(f"patch {turn * 7}"))
        then = (end - (end - START) * turn / (2 * rounds)).isoformat(timespec="seconds")

        def promote(patch_digest: str = patch.digest) -> None:
            new = registry.find(patch_digest)
            registry.difference(place, new)
            registry.promote(new, place, instead=registry.alias(place).patch, identity=OPERATOR, at=at)

        def roll_back() -> None:
            alias = registry.alias(place)
            to = registry.stood_before(alias)
            registry.difference(place, to)
            registry.roll_back(alias, to, "to be measured", identity=OPERATOR, at=at)

        acts: dict[str, Callable[[], object]] = {
            "show": lambda old=old: registry.life(old),  # type: ignore[misc]
            "log": lambda: registry.log(limit=50),
            "why": lambda then=then: registry.why("task-7/production", then),  # type: ignore[misc]
            "explain": lambda: registry.touching("layers.3.part.5"),
            "promote": promote,
            "rollback": roll_back,
        }
        for name, act in acts.items():
            found.setdefault(name, []).append(timed(act))
    return found


def check(what: str, registry: Registry, *, processes: int, full: bool = False, new: bool = False) -> dict[str, object]:
    """A check that finds nothing; its pace."""
    start, spent = time.perf_counter(), time.process_time()
    found = registry.verify(full=full, new=new, files=False, processes=processes)
    seconds = time.perf_counter() - start
    if not found:
        raise SystemExit("\n".join(map(str, found.faults)))
    return {
        "check": what,
        "processes": processes,
        "events": found.events,
        "signatures": found.signatures,
        "seconds": round(seconds, 2),
        "events a second": round(found.events / seconds),
        "of this process's own CPU": round(found.events / (time.process_time() - spent)),
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=STEPS, help="events of each patch, 3 to 10")
    parser.add_argument("--first-patches", type=int, default=2000, help="of the registry whose signatures are checked")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, help="where the filled registry is kept")
    parser.add_argument("--url", help="of an empty PostgreSQL, in place of SQLite")
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zogan" / "benchmarks"
    kind = "postgresql" if given.url else "sqlite"
    place = Place(given.folder or cache / f"registry-{kind}-{given.patches}-{given.steps}", given.url)
    fill(place, given.patches, given.steps)
    checks = []
    with tempfile.TemporaryDirectory() as scratch:
        small = Place(Path(scratch))
        fill(small, given.first_patches, given.steps)
        with small.open() as registry:
            checks += [check("first", registry, processes=each, full=True) for each in sorted({1, given.processes})]
            with registry.database.reading() as connection:
                begun = signed(connection, 4)
        assert begun is not None
        memory = Path(scratch) / "heads.json"
        Remembered(memory, str((Path(scratch) / "registry.db").resolve())).keep(Head(4, begun.hash), proved=True)
        with small.open(memory=memory) as registry:
            checks.append(check("new", registry, processes=given.processes, new=True))
    with tempfile.TemporaryDirectory() as scratch, place.open(memory=Path(scratch) / "heads.json") as registry:
        head, file = registry.head(), registry.database.file
        # The filler signed these events itself; checking their signatures is what `first` measures.
        known = Remembered(Path(scratch) / "heads.json", str(file.resolve()) if file else registry.database.shown)
        known.keep(head, proved=True)
        checks.append(check("rules anew", registry, processes=given.processes))
        found = latencies(registry, place.last, given.rounds)
        checks.append(check("new, few", registry, processes=given.processes, new=True))
        checks.append(check("usual", registry, processes=given.processes))
    print(f"{head.number:,} events, {given.patches:,} patches, {'PostgreSQL' if given.url else 'SQLite'}\n")
    print("| asked | median ms | longest ms | of that computed, median ms | goal ms |")
    print(f"|{' --- |' * 5}")
    for name, times in found.items():
        all_of_it, computed = (sorted(part) for part in zip(*times, strict=True))
        figures = [statistics.median(all_of_it), all_of_it[-1], statistics.median(computed)]
        print(f"| {name} | {' | '.join(f'{one:.1f}' for one in figures)} | {GOALS.get(name, '')} |")
    print(f"\n| {' | '.join(checks[0])} |\n|{' --- |' * len(checks[0])}")
    for one in checks:
        print(f"| {' | '.join(f'{value:,}' if isinstance(value, int) else str(value) for value in one.values())} |")
    keep(given.json, events=head.number, patches=given.patches, latencies=found, checks=checks)


if __name__ == "__main__":
    main()
