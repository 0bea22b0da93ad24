"""A search whose processes are killed, and the proof that it has lost no trial."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

import zogan
from tiny_project import tiny_config, write_project

TRIALS = 8


def killed_search(folder: Path, *, kills: int, storage: str | None = None) -> Sequence[FrozenTrial]:
    """Let two processes search, kill one or the other so many times, and let the search end.

    Args:
        folder: of the project, which is made.
        kills: with SIGKILL of a process that is at work on a trial, at random instants; others are not counted.
        storage: URL of the database; SQLite where absent.

    Returns:
        All that the database holds.
    """
    search = {"folder": "search", "trials": TRIALS, "heartbeat_seconds": 2, "keys": "train.(rate|head_rate)"}
    train = {"epochs": 4, "batch_size": 8, "patience": None}
    write_project(folder, search={**search, "storage": storage}, train=train)
    ran = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "search" / "killing.py"), str(folder), str(kills), "2"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {"killed": kills, "codes": [0, 0]}, ran.stderr
    url = storage or f"sqlite:///{folder / 'search' / 'study.db'}"
    database = optuna.storages.RDBStorage(url.replace("postgresql://", "postgresql+psycopg://"))
    trials: list[FrozenTrial] = optuna.load_study(study_name=None, storage=database).trials
    database.engine.dispose()
    return trials


def assert_none_lost(folder: Path, trials: Sequence[FrozenTrial], *, kills: int) -> None:
    """Each trial has ended once, whoever had begun it; and with the figures of a search that nobody kills.

    Args:
        folder: of the project.
        trials: of its database.
        kills: so many had been begun by a process that died.
    """
    ended = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len(ended) == TRIALS
    assert len({str(trial.params) for trial in ended}) == TRIALS
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}
    # Whatever a process had begun that died has been taken up, and is there.
    dead = [trial for trial in trials if trial.state == TrialState.FAIL and "withdrawn" not in trial.user_attrs]
    assert len([trial for trial in dead if "begun" in trial.user_attrs]) >= kills
    for trial in dead:
        assert "begun" not in trial.user_attrs or str(trial.params) in {str(one.params) for one in ended}

    found = zogan.search(tiny_config(folder))
    alone = zogan.search(
        tiny_config(folder, f"search.folder={folder / 'alone'}", "search.trials=1", "search.storage=null")
    )
    assert alone.baseline is not None
    assert found.baseline is not None
    assert (found.baseline.score, found.baseline.trainable) == (alone.baseline.score, alone.baseline.trainable)
