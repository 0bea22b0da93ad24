"""Claim: processes of `zogan search` that are killed with SIGKILL lose no trial.

The demo's base and some of its rows. One process searches undisturbed; then four search together, while one or another
of them is killed at a random moment and started again. Every second time it is one that is at work on a trial, for most
of their time goes into starting up. Each search has a study and a cache of its own. At the end

- every trial that was begun is settled, or was put back and is settled as another;
- no settings have two trials, but for those that were put back;
- as many are settled as were asked for;
- trials, their scores and the best are those of the search without kills. That is to be expected while draws are
  random (the first eight) and no trial is judged on its way (one epoch): from then on, what is drawn and what is
  stopped hang on what others have ended by then.

It exits with 1 where one of these does not hold.

    python benchmarks/kills.py [--storage postgresql://USER:PASSWORD@HOST/DATABASE] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from keeping import keep
from zogan.demo import write_demo
from zogan.search.halving import epochs_at_rung
from zogan.search.study import AGAIN, BEGUN, STARTUP

PROCESSES, VALIDATION = 4, 60
SETTLED = (TrialState.COMPLETE, TrialState.PRUNED)

Result = dict[str, Any]


@dataclass(frozen=True)
class Search:
    """A search on the command line, with all that it writes.

    Args:
        folder: of its rows, its study and its cache.
        settings: key to value.
        storage: URL of its database; SQLite where absent.
    """

    folder: Path
    settings: Mapping[str, Any]
    storage: str | None = None

    @property
    def errors(self) -> Path:
        """What its processes say on stderr."""
        return self.folder / "errors"

    def start(self) -> subprocess.Popen[bytes]:
        settings = {**self.settings, "search.folder": self.folder / "search"}
        if self.storage:
            settings["search.storage"] = self.storage
        overrides = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        with self.errors.open("ab") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", "zogan", "search", str(self.folder / "zogan.yaml"), "--quiet", *overrides],
                # One thread each, with kills and without: sums must come in the same order.
                env={**os.environ, "XDG_CACHE_HOME": str(self.folder / "cache"), "OMP_NUM_THREADS": "1"},
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def at_work(self, processes: Sequence[subprocess.Popen[bytes]]) -> list[int]:
        """Which of the processes have a trial: they hold the lock of its folder."""
        locks = {file.stat().st_ino for file in (self.folder / "search" / "trials").glob("*.lock")}
        # 1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF
        held = [line.split() for line in Path("/proc/locks").read_text().splitlines() if "->" not in line]
        holders = {int(words[4]) for words in held if int(words[5].rpartition(":")[2]) in locks}
        return [place for place, process in enumerate(processes) if process.pid in holders]

    def found(self) -> Result:
        result: Result = json.loads((self.folder / "search" / "search.json").read_text())
        return result

    def database(self) -> optuna.storages.RDBStorage:
        url = self.storage or f"sqlite:///{self.folder / 'search' / 'study.db'}"
        return optuna.storages.RDBStorage(url.replace("postgresql://", "postgresql+psycopg://", 1))


def killed(search: Search, kills: int, gap_seconds: float, seed: int) -> tuple[int, list[int]]:
    """Let all processes search, and kill one so many times; how many kills there were, and how the processes ended."""
    draw = random.Random(seed)
    running = [search.start() for _ in range(PROCESSES)]
    count = 0
    try:
        while count < kills:
            time.sleep(draw.uniform(0, 2 * gap_seconds))
            places = list(range(PROCESSES))
            while count % 2 and not (places := search.at_work(running)):
                if all(process.poll() is not None for process in running):
                    break
                time.sleep(0.1)
            place = draw.choice(places or [0])
            running[place].kill()
            if running[place].wait() != -signal.SIGKILL:
                break  # the search is over
            count += 1
            running[place] = search.start()
        return count, [process.wait() for process in running]
    finally:
        for process in running:
            process.kill()


def lost(trials: Sequence[FrozenTrial]) -> list[str]:
    """What is wrong with the trials of a search that is over."""
    by_number = {trial.number: trial for trial in trials}
    again = {trial.user_attrs[AGAIN]: trial.number for trial in trials if AGAIN in trial.user_attrs}
    wrong = []
    for trial in trials:
        end = trial
        while end.number in again:
            end = by_number[again[end.number]]
        if BEGUN in trial.user_attrs and end.state not in SETTLED:
            wrong.append(f"trial {trial.number} was begun, and is {end.state.name}")
    open_still = [trial for trial in trials if not trial.state.is_finished()]
    wrong += [f"trial {trial.number} is {trial.state.name} still" for trial in open_still]
    first = [trial for trial in trials if BEGUN in trial.user_attrs and AGAIN not in trial.user_attrs]
    for name, begun in (("begun", first), ("settled", [trial for trial in trials if trial.state in SETTLED])):
        counts = Counter(str(trial.params) for trial in begun)
        wrong += [f"{settings} was {name} {count} times" for settings, count in counts.items() if count > 1]
    return wrong


def scores(result: Result) -> dict[str, float]:
    """Settings to score, of the trials that were measured to the end."""
    return {str(one["settings"]): one["score"] for one in result["trials"] if one["status"] == "measured"}


def differing(ours: Result, undisturbed: Result, *, expected: bool) -> list[str]:
    """What is other than in a search without kills, of that which is expected to be the same."""
    one, other = scores(ours), scores(undisturbed)
    wrong = [f"{key} has {one[key]}, not {other[key]}" for key in one.keys() & other.keys() if one[key] != other[key]]
    if expected:
        wrong += [f"{key} is in one search alone" for key in one.keys() ^ other.keys()]
        if min(one.values()) != min(other.values()):
            wrong.append(f"the best has {min(one.values())}, not {min(other.values())}")
    return wrong


def new_trials(database: optuna.storages.RDBStorage, before: set[str]) -> list[FrozenTrial]:
    """The trials of the study that was not there before."""
    names = set(optuna.get_all_study_names(storage=database)) - before
    if len(names) != 1:
        raise SystemExit("The database holds this very study already: take another --seed")
    trials: list[FrozenTrial] = optuna.load_study(study_name=names.pop(), storage=database).trials
    return trials


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--gap-seconds", type=float, default=5.0, help="between kills, in the mean")
    parser.add_argument("--trials", type=int, default=STARTUP, help="settings to try")
    parser.add_argument("--rows", type=int, default=300, help="to train on; a trial takes the longer")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="of the search and of the kills")
    parser.add_argument("--storage", metavar="URL", help="a PostgreSQL for the killed search")
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    settings = {
        "search.keys": "train.(rate|head_rate)",
        "search.trials": given.trials,
        "search.seed": given.seed,
        "search.rows": given.rows,  # a ninth is fewer: no trial is judged on a part of them
        "search.heartbeat_seconds": 2,
        "train.epochs": given.epochs,
        "train.batch_size": 8,
        "train.checkpoint_seconds": 1,
    }
    expected = given.trials <= STARTUP and epochs_at_rung(given.epochs) is None
    with tempfile.TemporaryDirectory() as scratch:
        undisturbed = Search(Path(scratch) / "undisturbed", settings)
        disturbed = Search(Path(scratch) / "disturbed", settings, given.storage)
        for search in (undisturbed, disturbed):
            write_demo("classification", search.folder, train=given.rows, validation=VALIDATION, test=10)
        before = set(optuna.get_all_study_names(storage=disturbed.database())) if given.storage else set()
        start = time.perf_counter()
        if undisturbed.start().wait():
            raise SystemExit(undisturbed.errors.read_text())
        reference, between = undisturbed.found(), time.perf_counter()
        kills, codes = killed(disturbed, given.kills, given.gap_seconds, given.seed)
        end = time.perf_counter()
        if any(codes):
            raise SystemExit(f"processes ended with {codes}\n{disturbed.errors.read_text()}")
        found, trials = disturbed.found(), new_trials(disturbed.database(), before)

    settled = sum(trial.state in SETTLED for trial in trials)
    wrong = [*lost(trials), *differing(found, reference, expected=expected)]
    if settled != given.trials:
        wrong.append(f"{settled} trials are settled, not {given.trials}")
    if kills < given.kills:
        wrong.append(f"the search was over after {kills} kills: give it more rows or epochs")
    best, undisturbed_best = (f"{min(scores(result).values()):.4f}" for result in (found, reference))
    figures = {
        "storage": "PostgreSQL" if given.storage else "SQLite",
        "kills": kills,
        "put back": sum(AGAIN in trial.user_attrs for trial in trials),
        "settled": f"{settled} of {given.trials}",
        "best": best,
        "best without kills": f"{undisturbed_best} ({'the same is' if expected else 'another may be'} expected)",
        "seconds": round(end - between),
        "without kills": round(between - start),
        "wrong": len(wrong),
    }
    print(f"| {' | '.join(figures)} |\n|{' --- |' * len(figures)}\n| {' | '.join(map(str, figures.values()))} |")
    keep(given.json, **figures, settings=settings, trials=found["trials"], what_is_wrong=wrong)
    if wrong:
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    main()
