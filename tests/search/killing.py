"""Kill the processes of one search with SIGKILL at random instants, then let it end. Run by kept_trials.py.

Its own process, so that it may fork: importing torch once for each of the kills would take minutes.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch

import zogan
from tiny_project import tiny_config
from zogan.progress import Silent
from zogan.search.study import Study
from zogan.tasks import open_job


class Working(Silent):
    """Keeps, where the parent sees it, whether a process is at work on a trial.

    Args:
        seen: a byte for each process.
        place: of this one.
    """

    def __init__(self, seen: mmap.mmap, place: int) -> None:
        self.seen, self.place = seen, place

    def start(self, stage: str, total: int) -> None:
        self.seen[self.place] = stage.startswith("trial")


def start(folder: Path, seen: mmap.mmap, place: int) -> int:
    seen[place] = False
    child = os.fork()
    if child == 0:
        end, code = Study.end, 1

        def ended(study: Study, *arguments: Any) -> bool:
            seen[place] = False
            return end(study, *arguments)

        try:
            setattr(Study, "end", ended)  # noqa: B010 - its type is wider
            zogan.search(tiny_config(folder), progress=Working(seen, place))
            code = 0
        finally:
            os._exit(code)
    return child


def main(folder: Path, kills: int, processes: int) -> None:
    torch.set_num_threads(1)
    open_job(tiny_config(folder))  # the fingerprint is kept
    seen = mmap.mmap(-1, processes)
    chance = random.Random(0)
    running = [start(folder, seen, place) for place in range(processes)]
    killed = 0
    while killed < kills:
        while not any(seen[:]):
            if os.waitpid(-1, os.WNOHANG)[0]:
                raise RuntimeError(f"a process ended after {killed} kills")
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.3))
        place = chance.randrange(processes)
        os.kill(running[place], signal.SIGKILL)
        _, status = os.waitpid(running[place], 0)
        if not os.WIFSIGNALED(status):
            raise RuntimeError(f"a process ended after {killed} kills")
        killed += seen[place]
        running[place] = start(folder, seen, place)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in running]
    sys.stdout.write(json.dumps({"killed": killed, "codes": codes}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
