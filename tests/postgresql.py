"""A PostgreSQL server of the tests' own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest


@contextmanager
def served() -> Iterator[str]:
    """Inside, a server runs in a folder of its own, and listens to a socket there alone; or the test is skipped.

    Yields:
        The URL of its database, which is empty.
    """
    bin, user = _programs(), _user()
    # Not in pytest's folder: a socket's path is short, and the server's user must reach it.
    folder = Path(tempfile.mkdtemp(prefix="zogan-"))

    def run(program: str, *arguments: str) -> None:
        subprocess.run([str(bin / program), *arguments], user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    try:
        if user is not None:
            shutil.chown(folder, user)
        place = f"--pgdata={folder / 'data'}"
        run("initdb", place, "--username=zogan", "--auth=trust", "--no-sync", "--locale=C", "--encoding=UTF8")
        options = f"--options=-k {folder} -c listen_addresses='' -c fsync=off"
        run("pg_ctl", "start", place, "--wait", "--silent", f"--log={folder / 'log'}", options)
        try:
            yield f"postgresql://zogan@/postgres?host={folder}"
        finally:
            run("pg_ctl", "stop", place, "--wait", "--silent", "--mode=immediate")
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    """The folder of the newest server's programs; Debian has them on no path."""
    if find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed")
    on_path = shutil.which("initdb")
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if on_path is None and not versions:
        pytest.skip("no PostgreSQL server is installed")
    return max(versions, key=lambda path: float(path.parent.name)) if versions else Path(str(on_path)).parent


def _user() -> str | None:
    """Whom the server runs as: the tests' own user, unless that is root, which it refuses."""
    if os.geteuid() != 0:
        return None
    if "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    return "postgres"
