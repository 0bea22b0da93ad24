"""A study in a PostgreSQL: two processes, one of them killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from kept_trials import assert_none_lost, killed_search
from postgresql import served


def test_a_kill_loses_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with served() as url:
        assert_none_lost(tmp_path / "a", killed_search(tmp_path / "a", kills=1, storage=url), kills=1)
