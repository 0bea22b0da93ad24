"""Writers are killed in the middle: nothing is half done, and whoever comes next goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from made_up import Place
from postgresql import served


@pytest.mark.parametrize(("database", "kills"), [("sqlite", 150), ("postgresql", 50)])
def test_nothing_is_half_done(tmp_path: Path, database: str, kills: int) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(served()) if database == "postgresql" else None
        script = Path(__file__).with_name("killing.py")
        ran = subprocess.run(
            [sys.executable, str(script), str(tmp_path), str(kills), *([url] if url else [])],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        found = [json.loads(line) for line in ran.stdout.splitlines()]
        assert len(found) == kills
        assert all(one["killed"] and one["faults"] == [] for one in found)
        assert all(one["events"] == one["went_on"] for one in found)
        # Many died with an event or a file on the way: the log grew by more than what went on, and files were left.
        assert found[-1]["went_on"] > 8 + kills + kills // 2
        with Place(tmp_path, url).open() as registry:
            whole = registry.verify(full=True)
            assert not whole.faults
            left = list((tmp_path / "blobs").rglob("*.partial"))
            assert left
            later = (datetime.now(UTC) + timedelta(days=2)).isoformat(timespec="seconds")
            collected = registry.collect(at=later)
            assert collected.removed >= len(left)
            assert collected.kept == whole.blobs
            assert not list((tmp_path / "blobs").rglob("*.partial"))
            assert not registry.verify().faults
