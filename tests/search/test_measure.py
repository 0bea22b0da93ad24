"""One setting: the validation rows alone, the same figures after a stop, selections made once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tiny_project import tiny_config, write_project
from zogan.errors import DataError
from zogan.progress import Silent
from zogan.search import measure as module
from zogan.search.measure import Outcome, first_rows, measure, without_test
from zogan.tasks import open_job
from zogan.tasks.job import Job
from zogan.train import tune
from zogan.train.depth import selection_for
from zogan.train.job import Tuned


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def open_tiny(folder: Path, kind: Any = "new head", *overrides: str) -> Job:
    if not folder.exists():
        write_project(folder, kind)
    return without_test(open_job(tiny_config(folder, *overrides)))


class Stop(Exception):  # noqa: N818
    """Ends a trial."""


def run(
    job: Job,
    folder: Path,
    *,
    stop_after: int | None = None,
    again: bool = False,
    rungs: list[tuple[str, float]] | None = None,
) -> tuple[Outcome, int]:
    """The outcome, and the epochs that were told."""
    told = 0

    def each() -> None:
        nonlocal told
        told += 1
        if told == stop_after:
            raise Stop

    def reached(rung: str, score: float, error: float) -> None:
        assert error > 0
        if rungs is not None:
            rungs.append((rung, score))

    place = folder / "trials" / "one"
    found = measure(job, place, folder / "selections", reached=reached, each=each, progress=Silent())
    if again:  # who was taken for dead has measured it
        assert measure(job, place, folder / "selections", reached=reached, each=fail, progress=Silent()) == found
    shutil.rmtree(place)
    return found, told


def fail() -> None:
    raise AssertionError


@pytest.mark.parametrize("kind", ["new head", "generation"])
def test_a_trial_has_no_test_rows(tmp_path: Path, kind: str) -> None:
    job = open_tiny(tmp_path / "a", kind)
    assert job.splits.test == ()
    with pytest.raises(DataError, match="test: no rows are left"):
        job.examples("test")
    outcome, _ = run(job, tmp_path / "search")
    other = open_job(tiny_config(tmp_path / "a"))
    file = tmp_path / "a" / "test.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:9]))
    # Other test rows: the same job, to the digest.
    assert without_test(open_job(tiny_config(tmp_path / "a"))).splits.digest == job.splits.digest
    assert other.splits.digest != job.splits.digest
    assert outcome.error > 0


def test_a_trial_that_was_stopped_ends_with_the_same_figures(tmp_path: Path) -> None:
    job = open_tiny(tmp_path / "a", "new head", "train.epochs=4", "train.patience=null")
    whole, _ = run(job, tmp_path / "whole", again=True)
    with pytest.raises(Stop):
        run(job, tmp_path / "stopped", stop_after=3)
    again, told = run(job, tmp_path / "stopped")
    assert told == 4
    assert (again.score, again.error, again.epochs, again.trainable) == (
        whole.score,
        whole.error,
        whole.epochs,
        whole.trainable,
    )


def test_settings_that_ask_for_the_same_selection_share_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def counted(job: Job, **options: Any) -> Any:
        made.append(job.config)
        return selection_for(job, **options)

    monkeypatch.setattr(module, "selection_for", counted)
    for number, override in enumerate(
        ("train.rate=0.001", "train.rate=0.01", "train.epochs=1", "select.criterion=fisher", "train.batch_size=4")
    ):
        run(open_tiny(tmp_path / "a", "new head", override), tmp_path / "search")
        assert len(made) == (1 if number < 3 else number - 1)


def test_the_first_rung_has_a_ninth_of_the_rows(tmp_path: Path) -> None:
    job = open_tiny(tmp_path / "a", "new head", "search.rows=5", "train.patience=null")
    fewer = first_rows(job)
    assert fewer is not None
    assert len(fewer.splits.train) == 5
    assert {row.target for row in fewer.splits.train} == {row.target for row in job.splits.train}
    rungs: list[tuple[str, float]] = []
    run(job, tmp_path / "search", rungs=rungs)
    assert [rung for rung, _ in rungs] == ["rows", "epochs"]
    assert first_rows(open_tiny(tmp_path / "a", "new head", "search.rows=6")) is None


@pytest.mark.parametrize("two_stage", ["always", "auto"])
def test_a_second_stage_counts_in_cost_and_where_it_is_kept_in_score(
    tmp_path: Path, two_stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tuned] = []

    def watched(*given: Any, **options: Any) -> Tuned:
        seen.append(tune(*given, **options))
        return seen[-1]

    monkeypatch.setattr(module, "tune", watched)
    overrides = ["train.epochs=2", "train.patience=null", "search.rows=5"]
    if two_stage == "auto":
        overrides.append("adapters.rate=1e-9")  # which cannot pay
    rungs: list[tuple[str, float]] = []
    job = open_tiny(tmp_path / "a", "new head", f"adapters.two_stage={two_stage}", *overrides)
    outcome, _ = run(job, tmp_path / "search", rungs=rungs)
    one_stage, _ = run(open_tiny(tmp_path / "a", "new head", *overrides), tmp_path / "search")
    for tuned, score in zip(seen, (rungs[0][1], outcome.score), strict=False):
        assert tuned.second is not None
        assert tuned.second.kept == (two_stage == "always")
        decided = tuned.second.epochs if tuned.second.kept else tuned.epochs
        assert score == min(epoch.validation_score for epoch in decided)[0]
    second = seen[1].second
    assert second is not None
    assert outcome.epochs == 4
    assert outcome.seconds > seen[1].epochs[-1].seconds + second.epochs[-1].seconds
    assert outcome.trainable == one_stage.trainable + (second.trainable if second.kept else 0)
    if two_stage == "auto":
        assert outcome.score == one_stage.score


def test_what_a_setting_costs_counts_a_selection_that_was_there(tmp_path: Path) -> None:
    job = open_tiny(tmp_path / "a")
    first, _ = run(job, tmp_path / "search")
    (took,) = (tmp_path / "search" / "selections").glob("*.json")
    took.write_text('{"seconds": 1000.0}')
    second, _ = run(job, tmp_path / "search")
    assert second.seconds > 1000 > first.seconds
