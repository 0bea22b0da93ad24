"""Two processes on one study, killed again and again: no trial is lost, none counted twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

import zogan
from tiny_project import tiny_config, write_project

KILLS, TRIALS = 6, 8


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_kills_lose_no_trial_and_count_none_twice(tmp_path: Path) -> None:
    search = {"folder": "search", "trials": TRIALS, "heartbeat_seconds": 2, "keys": "train.(rate|head_rate)"}
    train = {"epochs": 4, "batch_size": 8, "patience": None}
    write_project(tmp_path / "a", search=search, train=train)
    script = Path(__file__).with_name("killing.py")
    ran = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "a"), str(KILLS), "2"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {"killed": KILLS, "codes": [0, 0]}, ran.stderr

    url = f"sqlite:///{tmp_path / 'a' / 'search' / 'study.db'}"
    trials = optuna.load_study(study_name=None, storage=url).trials
    ended = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len(ended) == TRIALS
    assert len({str(trial.params) for trial in ended}) == TRIALS
    # Whatever a process had begun that died has been taken up, and is there.
    dead = [trial for trial in trials if trial.state == TrialState.FAIL and "withdrawn" not in trial.user_attrs]
    assert dead
    for trial in dead:
        assert not trial.user_attrs.get("begun") or str(trial.params) in {str(one.params) for one in ended}
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}

    # And each has the figures that it has where nobody is killed.
    found = zogan.search(tiny_config(tmp_path / "a"))
    alone = zogan.search(tiny_config(tmp_path / "a", f"search.folder={tmp_path / 'alone'}", "search.trials=1"))
    assert alone.baseline is not None
    assert found.baseline is not None
    assert (found.baseline.score, found.baseline.trainable) == (alone.baseline.score, alone.baseline.trainable)
