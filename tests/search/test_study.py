"""A study keeps each trial once, whoever dies."""

from __future__ import annotations

from pathlib import Path

import pytest

from zogan.errors import ConfigError
from zogan.search import study as module
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


def test_a_process_that_died_before_its_first_sign_of_life(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    study.begin([SPACE.configured])
    claim = study.claim(None)
    study.mend()
    assert study.counts().running == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "GRACE", 0)
        study.mend()
    assert (study.counts().running, study.counts().waiting) == (0, 1)
    assert study.claim(None).settings == claim.settings


def test_no_more_trials_than_asked_for(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    study.begin([SPACE.configured])
    claims = [study.claim(2) for _ in range(4)]
    assert [claim.withdrawn for claim in claims] == [None, None, "not needed", "not needed"]
    study.leave(claims[0].trial)
    study.mend()
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
