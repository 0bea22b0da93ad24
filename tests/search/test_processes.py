"""Two processes on one study, killed again and again: no trial is lost, none counted twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from kept_trials import assert_none_lost, killed_search


def test_kills_lose_no_trial_and_count_none_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert_none_lost(tmp_path / "a", killed_search(tmp_path / "a", kills=6), kills=6)
