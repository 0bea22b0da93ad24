"""Kill the processes of one search with SIGKILL at random instants, then let it end. Run by test_processes.py.

Its own process, so that it may fork: importing torch once for each of the kills would take minutes.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import torch

import zogan
from tiny_project import tiny_config
from zogan.search import run  # noqa: F401 - before the forks, and with it optuna
from zogan.tasks import open_job


def start(folder: Path) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            zogan.search(tiny_config(folder))
            code = 0
        finally:
            os._exit(code)
    return child


def at_work(database: Path) -> bool:
    """Whether some process has a trial."""
    if not database.exists():
        return False
    try:
        with closing(sqlite3.connect(database, timeout=60)) as file:
            return bool(file.execute("SELECT 1 FROM trials WHERE state = 'RUNNING'").fetchall())
    except sqlite3.OperationalError:  # the tables are not there yet
        return False


def main(folder: Path, kills: int, processes: int) -> None:
    torch.set_num_threads(1)
    open_job(tiny_config(folder))  # the fingerprint is kept
    chance = random.Random(0)
    running = [start(folder) for _ in range(processes)]
    killed = 0
    while killed < kills:
        while not at_work(folder / "search" / "study.db"):
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.7))
        place = chance.randrange(processes)
        os.kill(running[place], signal.SIGKILL)
        _, status = os.waitpid(running[place], 0)
        killed += os.WIFSIGNALED(status)
        running[place] = start(folder)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in running]
    sys.stdout.write(json.dumps({"killed": killed, "codes": codes}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
