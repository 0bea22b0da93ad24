"""The table of priors is one, and a job's seeds are those of it that the job can have, of the tasks most like it."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tiny_project import KINDS, Kind, tiny_config, write_project
from zogan.errors import ConfigError
from zogan.search.priors import NEAREST, Gain, Prior, features_of, read_priors, seeds_for
from zogan.search.space import Between, OneOf, Space, space_for, with_settings
from zogan.tasks import open_job
from zogan.tasks.job import Job


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def prior(name: str, gain: float = 0.1, *, rows: int = 48, task: Any = "classification", **settings: Any) -> Prior:
    """One that was good on a task of so many rows, settings written with _ for the dot."""
    return Prior(
        name=name,
        task=task,
        method="sparse",
        features=features_of(task, rows=rows, labels=3),
        settings={key.replace("_", ".", 1): value for key, value in settings.items()},
        gain=Gain(mean=gain, error=None, pairs=1),
    )


def opened(folder: Path, kind: Kind = "new head", *overrides: str) -> tuple[Job, Space]:
    write_project(folder, kind)
    job = open_job(tiny_config(folder, *overrides))
    return job, space_for(job)


def found(job: tuple[Job, Space], *priors: Prior) -> list[tuple[str, dict[str, Any]]]:
    """Task and changed settings of each seed."""
    _, space = job
    seeds = seeds_for(*job, priors)
    for seed in seeds:
        assert seed.settings.keys() == space.configured.keys()
    return [
        (seed.name, {key: value for key, value in seed.settings.items() if value != space.configured[key]})
        for seed in seeds
    ]


def test_the_shipped_table_is_one() -> None:
    assert (files("zogan.search") / "priors.json").is_file()
    table = read_priors()
    assert table
    assert all(one.gain.mean > 0 for one in table)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_shipped_table_seeds_can_be_trained_with(tmp_path: Path, kind: Kind) -> None:
    train = {"epochs": 2 if kind == "generation" else 8, "batch_size": 2 if kind == "generation" else 32}
    write_project(tmp_path, kind, train=train)
    job = open_job(tiny_config(tmp_path))
    space = space_for(job)
    for seed in seeds_for(job, space, read_priors()):
        with_settings(job.config, seed.settings)
        for key, values in space.values.items():
            value = seed.settings[key]
            assert value in values.values if isinstance(values, OneOf) else values.low <= value <= values.high
    if kind == "new head":
        assert seeds_for(job, space, read_priors())


def test_features_are_numbers_of_rows() -> None:
    assert features_of("classification", rows=30, labels=4) == {"labels": 4, "rows": 30, "rows_per_label": 7.5}
    assert features_of("generation", rows=30, labels=0) == {"rows": 30}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": {"train.rates": 1}}, r"0: 'train.rates' is no key .* Did you mean 'train.rate'"),
        ({"settings": {}}, r"0\.settings: .* at least 1"),
        ({"features": {"rows": 3}}, "the features of classification are labels, rows, rows_per_label"),
        ({"features": {"rows": 3, "labels": 0, "rows_per_label": 1}}, r"0\.features\.labels: .* greater than 0"),
        ({"gain": {"mean": 0.1, "error": None, "pairs": 0}}, r"0\.gain\.pairs: .* greater than or equal to 1"),
        ({"more": 1}, r"0\.more: "),
    ],
)
def test_what_is_no_table(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    file = tmp_path / "priors.json"
    good = prior("a", train_rate=0.001).model_dump()
    file.write_text(json.dumps([good]))
    assert read_priors(file) == (prior("a", train_rate=0.001),)
    file.write_text(json.dumps([good | change]))
    with pytest.raises(ConfigError, match=message):
        read_priors(file)
    file.write_text("[")
    with pytest.raises(ConfigError, match=r"priors\.json: .*JSON"):
        read_priors(file)


def test_the_best_of_each_task_comes_first_and_the_nearest_task_before_others(tmp_path: Path) -> None:
    job = opened(tmp_path)
    table = (
        prior("far", 0.9, rows=4000, train_rate=0.001),
        prior("near", 0.1, rows=50, train_rate=0.002),
        prior("near", 0.3, rows=50, train_rate=0.004),
        prior("middle", 0.5, rows=400, train_rate=0.005),
        prior("farthest", 1.0, rows=100_000, train_rate=0.006),
    )
    expected = [("near", 0.004), ("middle", 0.005), ("far", 0.001), ("near", 0.002)]
    assert len({name for name, _ in expected}) == NEAREST
    assert found(job, *table) == [(name, {"train.rate": rate}) for name, rate in expected]
    assert found(job, *reversed(table)) == found(job, *table)


def test_distance_is_in_ratios(tmp_path: Path) -> None:
    job = opened(tmp_path)  # 48 rows: a tenth is farther than five times as many, though fewer rows lie between
    assert [
        name for name, _ in found(job, prior("tenth", rows=5, train_rate=0.001), prior("x", train_epochs=4, rows=240))
    ] == ["x", "tenth"]


def test_other_kinds_and_methods_say_nothing(tmp_path: Path) -> None:
    texts = prior("texts", rows=48, task="generation", train_rate=0.01)
    rows = prior("rows", train_rate=0.001)
    assert [name for name, _ in found(opened(tmp_path / "a"), texts, rows)] == ["rows"]
    assert [name for name, _ in found(opened(tmp_path / "b", "generation"), texts, rows)] == ["texts"]
    assert found(opened(tmp_path / "c", "new head", "method=full"), texts, rows) == []


def test_none_is_there_twice_nor_as_configured(tmp_path: Path) -> None:
    job = opened(tmp_path)
    configured = prior("c", 0.9, train_rate=0.003, train_epochs=3)
    same = (prior("a", 0.8, train_rate=0.0021), prior("b", 0.7, train_rate=0.00211, train_head_rate=0.002))
    assert found(job, configured, *same) == [("a", {"train.rate": 0.0021})]


@pytest.mark.parametrize(
    ("settings", "overrides"),
    [
        ({"train_rate": 0.1}, []),  # beyond the bounds
        ({"train_epochs": 5}, []),  # not among the values
        ({"budget_density": 0.5}, []),  # more than the budget
        ({"select_allocation": "row"}, ["select.pattern=rows"]),  # not with what is configured
        ({"train_rate": 0.001, "train_epochs": 8}, ["search.keys=train.rate"]),  # a key that is not searched
    ],
)
def test_what_a_job_cannot_have_is_left_out(tmp_path: Path, settings: dict[str, Any], overrides: list[str]) -> None:
    job = opened(tmp_path, "new head", *overrides)
    assert found(job, prior("a", **settings), prior("b", 0.05, train_rate=0.001)) == [("b", {"train.rate": 0.001})]


def test_what_is_not_searched_may_stand_in_the_configuration(tmp_path: Path) -> None:
    job = opened(tmp_path, "own head", "search.keys=train.rate", "train.epochs=8")
    assert isinstance(job[1].values["train.rate"], Between)
    known = prior("a", train_rate=0.001, train_epochs=8, train_head_start="normal")
    assert found(job, known) == [("a", {"train.rate": 0.001})]
    assert found(job, prior("a", train_rate=0.001, train_head_start="means")) == []
