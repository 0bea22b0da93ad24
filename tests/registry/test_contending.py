"""Many write at once: no event is lost or written twice, one of them wins, and the others are told in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from made_up import Place
from postgresql import served

PROCESSES, OPERATIONS, MEETINGS = 8, 2000, 5


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_no_event_is_lost_or_doubled(tmp_path: Path, database: str) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(served()) if database == "postgresql" else None
        script = Path(__file__).with_name("contending.py")
        numbers = map(str, (OPERATIONS, PROCESSES, MEETINGS))
        ran = subprocess.run(
            [sys.executable, str(script), str(tmp_path), *numbers, *([url] if url else [])],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        found = json.loads(ran.stdout)
        for meeting in zip(*(one[:MEETINGS] for one in found["told"]), strict=True):
            won = [one for (one,) in meeting if "number" in one]
            lost = [one["line"] for (one,) in meeting if "line" in one]
            assert (len(won), len(lost)) == (1, PROCESSES - 1)
            assert all("race/production stands for" in line and "as was thought" in line for line in lost)
        every = [one for told in found["told"] for part in told for one in part]
        assert len(every) == OPERATIONS + MEETINGS * PROCESSES
        written = [one["number"] for one in every if "number" in one]
        refused = [one for one in every if "line" in one]
        assert sorted(written) == list(range(found["begun"] + 1, found["begun"] + 1 + len(written)))
        assert {one["kind"] for one in refused} <= {"RefusedError", "RegistryError"}
        assert not [one for one in refused if "\n" in one["line"]]
        assert any("as was thought" in one["line"] for one in refused if one["what"] != "race")
        with Place(tmp_path, url).open() as registry:
            assert registry.head().number == found["begun"] + len(written)
            checked = registry.verify(full=True)
            assert not checked.faults
            assert checked.events == checked.signatures == registry.head().number
