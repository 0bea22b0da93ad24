"""One turn at a time, and none that outlives its process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy
from filelock import FileLock, Timeout

from postgresql import served
from zogan.search.turn import KEY, Turn

HOLDING = """
import sys
from pathlib import Path
from zogan.search.turn import Turn
with Turn(sys.argv[1], Path(sys.argv[2])).taken():
    print("taken", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(url: str, file: Path) -> Iterator[subprocess.Popen[str]]:
    """Inside, another process has the turn, unless it is killed."""
    command = [sys.executable, "-c", HOLDING, url, str(file)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=environment, stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "taken\n"
        yield other
        other.kill()


def free(url: str) -> bool:
    """Whether nobody has the database's turn."""
    with sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool).connect() as connection:
        return bool(connection.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({KEY})").scalar())


def test_a_file_s_turn_ends_with_its_process(tmp_path: Path) -> None:
    url, file = "sqlite:///study.db", tmp_path / ".lock"
    with held(url, file) as other:
        with pytest.raises(Timeout, match="lock"):
            FileLock(file, timeout=0).acquire()
        other.kill()
        with Turn(url, file).taken(), pytest.raises(Timeout, match="lock"):
            FileLock(file, timeout=0).acquire()
    FileLock(file, timeout=0).acquire().lock.release()


def test_a_database_s_turn_holds_for_all_machines_and_ends_with_its_process(tmp_path: Path) -> None:
    with served() as plain:
        url = plain.replace("postgresql://", "postgresql+psycopg://")
        # Each with a file of its own, as on two machines.
        turn = Turn(url, tmp_path / "mine")
        with held(url, tmp_path / "other") as other:
            assert not free(url)
            other.kill()
            with turn.taken():
                assert not free(url)
            assert free(url)
