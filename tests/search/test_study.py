"""A study keeps each trial once, whoever dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from zogan.errors import ConfigError
from zogan.search.space import Between, OneOf, Space
from zogan.search.study import Study, study_name

SPACE = Space({"a": OneOf((1, 2, 3)), "b": Between(0.001, 0.1)}, {"a": 2, "b": 0.0123})


def open_study(folder: Path, space: Space = SPACE, *, name: str = "study", heartbeat_seconds: int = 1) -> Study:
    url = f"sqlite:///{folder / 'study.db'}"
    return Study(url, name, space, seed=0, heartbeat_seconds=heartbeat_seconds, lock=folder / ".lock")


def finish(study: Study, limit: int | None = None, score: float = 0.5) -> dict[str, object]:
    """Claim the next trial and end it."""
    claim = study.claim(limit)
    if claim.withdrawn is None:
        with study.alive(claim.trial):
            pass
        study.end(claim.trial, "measured", {"score": score, "error": 0.1, "epochs": 1, "seconds": 1.0, "trainable": 2})
    return dict(claim.settings)


def test_the_first_trial_is_what_is_configured_to_the_digit(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    other = {"a": 1, "b": 0.02}
    assert study.begin([SPACE.configured]) == [SPACE.configured]
    assert study.begin([SPACE.configured, other]) == [other]
    assert study.begin([SPACE.configured, other]) == []
    assert study.counts().waiting == 2
    assert finish(study) == SPACE.configured
    assert study.results()[0].score == 0.5
    assert finish(study) == other
    assert study.begin([SPACE.configured, other]) == []


def test_what_is_drawn_does_not_hang_on_who_draws(tmp_path: Path) -> None:
    drawn = []
    for folder in (tmp_path / "one", tmp_path / "many"):
        folder.mkdir()
        study = open_study(folder)
        study.begin([SPACE.configured])
        for _ in range(12):
            study = open_study(folder) if folder.name == "many" else study
            finish(study)
        drawn.append([trial.settings for trial in study.results()])
    assert drawn[0] == drawn[1]
    assert all(trial["b"] == float(f"{trial['b']:.2g}") for trial in drawn[0][1:])


def test_a_dead_process_trial_is_put_back_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = open_study(tmp_path)
    study.begin([SPACE.configured])
    claim = study.claim(None)
    with study.alive(claim.trial):
        study.mend()
        assert study.counts().waiting == 0  # it lives
    stale = study._study._storage._backend
    trial = stale.get_trial_id_from_study_id_trial_number(study._id, claim.trial.number)
    monkeypatch.setattr(stale, "_get_stale_trial_ids", lambda _: [trial])
    other = open_study(tmp_path)
    monkeypatch.setattr(other._study._storage._backend, "_get_stale_trial_ids", lambda _: [trial])
    study.mend()
    other.mend()
    study.mend()
    assert (study.counts().waiting, study.counts().running) == (1, 0)
    assert finish(other) == SPACE.configured
    # He was not dead after all: his result is not written a second time.
    study.end(claim.trial, "measured", {"score": 0.1})
    assert [result.score for result in study.results()] == [0.5]


def test_a_trial_put_back_twice_is_tried_once(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    study.begin([SPACE.configured])
    study.leave(study.claim(None).trial)
    study._enqueue(SPACE.configured, {"again": 0})  # as another process does at the same instant
    study._enqueue(SPACE.configured, {"again": 0})
    first, second = study.claim(None), study.claim(None)
    assert first.withdrawn is None
    assert second.withdrawn == "tried already"
    study.mend()
    assert study.counts().waiting == 0


@pytest.mark.parametrize("last", ["ask", "_attribute"])
def test_a_process_that_died_in_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str) -> None:
    """Before it knew the settings, or before it said that it has begun."""
    study, other = open_study(tmp_path, heartbeat_seconds=1000), open_study(tmp_path, heartbeat_seconds=1000)
    owner = study._study if last == "ask" else study
    do = getattr(owner, last)

    def die(*arguments: object) -> None:
        if last == "ask":
            do(*arguments)
        raise KeyboardInterrupt("killed")

    monkeypatch.setattr(owner, last, die)
    with pytest.raises(KeyboardInterrupt, match="killed"):
        study.claim(None)
    assert other.counts().running == 1
    monkeypatch.undo()
    other.mend()
    assert (other.counts().running, other.counts().waiting) == (0, int(last == "_attribute"))
    # What is drawn is what it would have drawn.
    assert other.claim(None).settings == open_study(tmp_path, name="undisturbed").claim(None).settings


def test_processes_that_claim_at_once_take_other_trials(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("claiming.py")), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    taken = json.loads(ran.stdout)
    assert len([numbers for numbers in taken if numbers]) > 1
    assert sorted(number for numbers in taken for number in numbers) == list(range(24))


def test_what_several_draw_is_what_one_would(tmp_path: Path) -> None:
    drawn = []
    for name, processes in (("one", 1), ("four", 4)):
        studies = [open_study(tmp_path, name=name, heartbeat_seconds=1000) for _ in range(processes)]
        studies[0].begin([SPACE.configured])
        drawn.append([studies[number % processes].claim(8).settings for number in range(8)])
    assert drawn[0] == drawn[1]


def test_what_is_given_back_keeps_its_place(tmp_path: Path) -> None:
    study, other = open_study(tmp_path, heartbeat_seconds=1000), open_study(tmp_path, heartbeat_seconds=1000)
    first, last = study.claim(2), study.claim(2)
    assert study.leave(last.trial)
    # Nobody has put it back yet: still nothing new is drawn in its place.
    again = other.claim(2)
    assert (again.settings, again.withdrawn) == (last.settings, None)
    assert not study.leave(last.trial)
    for claim in (first, again):
        other.end(claim.trial, "failed", {"why": "too small"})
    assert (other.counts().settled, other.counts().running, other.counts().waiting) == (2, 0, 0)


def test_no_more_trials_than_asked_for(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    study.begin([SPACE.configured])
    claims = [study.claim(2) for _ in range(4)]
    assert [claim.withdrawn for claim in claims] == [None, None, "not needed", "not needed"]
    study.leave(claims[0].trial)
    assert study.claim(2).settings == SPACE.configured


def test_settings_are_tried_once(tmp_path: Path) -> None:
    study = open_study(tmp_path, Space({"a": OneOf((1, 2))}, {"a": 1}))
    study.begin([{"a": 1}])
    claims = [study.claim(None) for _ in range(12)]
    assert [claim.settings for claim in claims if claim.withdrawn is None] == [{"a": 1}, {"a": 2}]
    assert {claim.withdrawn for claim in claims} == {None, "tried already"}


def test_scores_at_a_rung_are_of_the_others(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    trials = [study.claim(None).trial for _ in range(3)]
    assert study.reached(trials[0], 1, 0.3) == []
    assert study.reached(trials[1], 1, 0.4) == [0.3]
    study.leave(trials[0])
    assert study.reached(trials[2], 1, 0.2) == [0.4]
    assert study.reached(trials[2], 3, 0.2) == []


def test_a_stopped_and_a_failed_trial(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    first, second = study.claim(None), study.claim(None)
    study.reached(first.trial, 1, 0.7)
    study.end(first.trial, "stopped", {"error": 0.1})
    study.end(second.trial, "failed", {"why": "too small"})
    stopped, failed = study.results()
    assert (stopped.status, stopped.score, stopped.error) == ("stopped", 0.7, 0.1)
    assert (failed.status, failed.score, failed.why) == ("failed", None, "too small")
    assert study.counts().settled == 2


def test_other_names_are_other_studies(tmp_path: Path) -> None:
    finish(open_study(tmp_path))
    assert open_study(tmp_path, name="other").counts().settled == 0
    assert study_name({"a": 1}) == study_name({"a": 1}) != study_name({"a": 2})


def test_a_database_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"search.storage: the study's database cannot be opened"):
        Study("nosuch://host/db", "name", SPACE, seed=0, heartbeat_seconds=1, lock=tmp_path / ".lock")
