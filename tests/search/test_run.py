"""A search from end to end, on a tiny base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import zogan
from tiny_project import tiny_config, write_project
from zogan.config import load_config
from zogan.errors import ConfigError, ZoganError
from zogan.progress import Silent
from zogan.search import run as module
from zogan.search.measure import measure
from zogan.search.priors import Gain, Prior, features_of
from zogan.search.result import Found
from zogan.search.study import Claim, Study
from zogan.tasks import open_job

FEW = {"keys": "train.(rate|head_rate|epochs)", "trials": 4}

KNOWN = tuple(
    Prior(
        name=name,
        task="classification",
        method="sparse",
        features=features_of("classification", rows=rows, labels=3),
        settings=settings,
        gain=Gain(mean=0.1, error=0.01, pairs=5),
    )
    for name, rows, settings in (
        ("like", 48, {"train.rate": 0.001, "train.epochs": 4}),
        ("bigger", 500, {"train.head_rate": 0.001}),
        ("beyond", 60, {"train.rate": 1.0}),
    )
)
"""A table of which one entry is outside of the tiny job's space."""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "read_priors", tuple)  # what is drawn, and no more


def project(folder: Path, kind: Any = "new head", **search: Any) -> Path:
    write_project(folder, kind, search={"folder": "search", **FEW, **search})
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """A search that nothing disturbed."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("whole")
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setattr(module, "read_priors", tuple)
        return zogan.search(tiny_config(project(folder / "a")))


class Notes(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    def note(self, message: str) -> None:
        self.kept.append(message)


def scores(found: Found) -> list[tuple[int, float | None]]:
    return [(trial.number, trial.score) for trial in found.trials]


@pytest.mark.parametrize("kind", ["new head", "generation"])
def test_it_finds_settings_that_a_run_can_take(tmp_path: Path, kind: str) -> None:
    folder = project(tmp_path / "a", kind)
    found = zogan.search(folder / "zogan.yaml")
    assert len(found.trials) == 4
    assert found.baseline is not None
    assert found.baseline.number == 0
    assert found.changes(found.trials[0]) == {}
    assert {found.best.number, found.pick.number} <= {trial.number for trial in found.trials}
    config = load_config(found.config)
    for key, value in found.changes(found.pick).items():
        part, name = key.split(".")
        assert getattr(getattr(config, part), name) == value
    assert config.output == folder / "search" / "best"
    told = json.loads((folder / "search" / "search.json").read_text())
    assert told["pick"] == found.pick.number
    assert [trial["score"] for trial in told["trials"]] == [trial.score for trial in found.trials]
    assert b"<svg" in found.plot.read_bytes()[:2000]
    # The pick is what it says: tuned again, it has that score.
    tuned = zogan.tune(config)
    assert min(epoch.validation_score for epoch in tuned.epochs)[0] == found.pick.score
    assert tuned.trainable == found.pick.trainable


def test_it_goes_on_where_it_was_and_ends_as_it_would_have(tmp_path: Path, whole: Found) -> None:
    folder = project(tmp_path / "b")
    first = zogan.search(tiny_config(folder, "search.trials=2"))
    assert len(first.trials) == 2
    again = zogan.search(tiny_config(folder))
    assert scores(again) == scores(whole)
    assert scores(zogan.search(tiny_config(folder))) == scores(again)
    assert not (folder / "search" / "trials").exists()


def test_what_was_good_on_other_tasks_comes_after_what_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def searched(folder: str, *overrides: str) -> tuple[Found, list[str]]:
        notes = Notes()
        given = tiny_config(tmp_path / "a", f"search.folder={tmp_path / folder}", *overrides)
        return zogan.search(given, progress=notes), [note for note in notes.kept if note.startswith("tried first")]

    project(tmp_path / "a")
    monkeypatch.setattr(module, "read_priors", lambda: KNOWN)
    first, told = searched("search", "search.trials=2")
    assert [first.changes(trial) for trial in first.trials] == [{}, {"train.rate": 0.001, "train.epochs": 4}]
    assert told == ["tried first: the configured settings, then 1 that were good on other tasks: like"]
    # Called again it goes on, and tells and tries nothing twice.
    again, told = searched("search")
    assert told == ["tried first: the configured settings, then 1 that were good on other tasks: bigger"]
    assert again.changes(again.trials[2]) == {"train.head_rate": 0.001}
    assert len({str(trial.settings) for trial in again.trials}) == len(again.trials) == 4
    assert searched("search")[1] == []
    assert scores(searched("whole")[0]) == scores(again)
    # Another table is no other study.
    monkeypatch.setattr(module, "read_priors", tuple)
    assert scores(searched("search")[0]) == scores(again)


def test_the_test_rows_are_not_looked_at(whole: Found) -> None:
    folder = whole.folder.parent
    file = folder / "test.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps({**row, "label": "bad"}) + "\n" for row in rows))
    # The same study, in which nothing is left to do.
    notes = Notes()
    again = zogan.search(open_job(tiny_config(folder)), progress=notes)
    assert scores(again) == scores(whole)
    assert not [note for note in notes.kept if note.startswith("trial")]


def test_a_configuration_that_cannot_be_trained_with_ends_the_search(tmp_path: Path) -> None:
    folder = project(tmp_path / "a", keys="budget.density")
    # A share of one small matrix in which there is not one row.
    row = ("select.pattern=rows", "select.allocation=global", "select.include=.*0.attention.self.query.weight")
    job = open_job(tiny_config(folder, "budget.density=0.0001", *row))
    with pytest.raises(ZoganError, match="density"):
        zogan.search(job)


def test_a_failed_setting_does_not_end_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaking(job: Any, *rest: Any, **options: Any) -> Any:
        if job.config.train.rate is not None and job.config.train.rate != 0.003:
            raise ConfigError("the loss is nan", where="train")
        return measure(job, *rest, **options)

    monkeypatch.setattr(module, "measure", breaking)
    found = zogan.search(tiny_config(project(tmp_path / "a")))
    assert [trial.status for trial in found.trials] == ["measured", "failed", "failed", "failed"]
    assert found.trials[1].why == "train: the loss is nan"
    assert found.pick == found.baseline


def test_a_trial_that_another_has_taken_up_does_not_end_the_search(
    tmp_path: Path, whole: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back: list[int] = []
    claim = Study.claim

    def noted(study: Study, limit: int | None) -> Claim:
        claims.append((study, claim(study, limit)))
        return claims[-1][1]

    def cleared(*rest: Any, **options: Any) -> Any:
        study, mine = claims[-1]
        if mine.trial.number == 1 and not given_back:
            given_back.append(mine.trial.number)
            study.leave(mine.trial)  # as who takes it for dead
            raise FileNotFoundError("its folder is gone")
        return measure(*rest, **options)

    claims: list[tuple[Study, Claim]] = []
    monkeypatch.setattr(Study, "claim", noted)
    monkeypatch.setattr(module, "measure", cleared)
    notes = Notes()
    found = zogan.search(tiny_config(project(tmp_path / "a")), progress=notes)
    assert given_back == [1]
    assert any("another process took it up" in note for note in notes.kept)
    assert [score for _, score in scores(found)] == [score for _, score in scores(whole)]


def test_time_that_is_over_puts_the_trial_at_work_aside(
    tmp_path: Path, whole: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project(tmp_path / "a")
    epochs, clock = 0, module.Search._late

    def late(search: module.Search) -> bool:
        nonlocal epochs
        epochs += 1
        return epochs > 7  # looks at the clock: before each trial, and after each of its epochs

    monkeypatch.setattr(module.Search, "_late", late)
    notes = Notes()
    zogan.search(tiny_config(folder, "search.minutes=1000"), progress=notes)
    assert "the next call goes on with it" in notes.kept[-1]
    assert list((folder / "search" / "trials").glob("*/all/state.pt"))
    monkeypatch.setattr(module.Search, "_late", clock)
    assert [score for _, score in scores(zogan.search(tiny_config(folder)))] == [score for _, score in scores(whole)]


def test_time_that_is_too_short_for_one_trial(tmp_path: Path) -> None:
    with pytest.raises(ZoganError, match="no trial came to its end"):
        zogan.search(tiny_config(project(tmp_path / "a"), "search.minutes=1e-12"))


def test_a_space_that_is_tried_out_ends_the_search(tmp_path: Path) -> None:
    folder = project(tmp_path / "a", keys="train.epochs", trials=50)
    notes = Notes()
    found = zogan.search(tiny_config(folder), progress=notes)
    assert sorted(trial.settings["train.epochs"] for trial in found.trials) == [3, 4, 8, 12, 16]
    assert "tried out" in notes.kept[-1]


def test_another_configuration_is_another_study(tmp_path: Path) -> None:
    folder = project(tmp_path / "a", trials=1)
    first = zogan.search(tiny_config(folder))
    assert len(first.trials) == 1
    notes = Notes()
    second = zogan.search(tiny_config(folder, "train.seed=1"), progress=notes)
    assert len(second.trials) == 1
    assert notes.kept[-1].startswith("trial 0 (0 of 1 done): as configured")
