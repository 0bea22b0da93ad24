"""Several processes take the trials of one study at once; print what each took, as JSON. Run by test_study.py.

Its own process, so that it may fork.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from zogan.search.space import OneOf, Space
from zogan.search.study import Study

PROCESSES, WAITING = 4, 24
SPACE = Space({"a": OneOf(tuple(range(WAITING)))}, {"a": 0})


def open_study(folder: Path) -> Study:
    url = f"sqlite:///{folder / 'study.db'}"
    return Study(url, "study", SPACE, seed=0, heartbeat_seconds=1000, lock=folder / ".lock")


def claimed(folder: Path, process: int) -> list[int]:
    """Take trials until none waits."""
    study, taken = open_study(folder), []
    while study.counts().waiting:
        claim = study.claim(WAITING)
        if claim.withdrawn is None:
            taken.append(claim.trial.number)
    return taken


def main(folder: Path) -> None:
    open_study(folder).begin([{"a": value} for value in range(WAITING)])
    with get_context("fork").Pool(PROCESSES) as pool:
        sys.stdout.write(json.dumps(pool.map(partial(claimed, folder), range(PROCESSES), chunksize=1)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
