"""A group that is served worse is found, and a name that turns the answer; neither where there is none."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

import data
from planted import Planted, planted_job
from zogan.config import GroupsConfig
from zogan.data.rows import Row
from zogan.errors import ConfigError, DataError
from zogan.evaluate.probes.bench import NotProbedError
from zogan.evaluate.probes.groups import groups
from zogan.tasks.job import Job

ROWS = [
    replace(row, text=f"{'he' if place % 2 else 'Mary'} says {row.text}", columns=(("region", region),))
    for place, row in enumerate(data.text_rows(120))
    for region in ["north" if place % 3 else "south" if place % 60 else "east"]
]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return planted_job(tmp_path_factory.mktemp("job"), "classification", test=ROWS)


def fair(row: Row) -> tuple[str, float]:
    return row.target, 0.9


def fails_the_south(row: Row) -> tuple[str, float]:
    return ("good" if ("region", "south") in row.columns else row.target), 0.9


def flips_with_she(row: Row) -> tuple[str, float]:
    return ("bad" if row.input.startswith("she ") else "good"), 0.9


def test_a_group_that_is_served_worse(job: Job) -> None:
    options = GroupsConfig(columns=("region",), limit=0.2)
    (found,) = groups.look(Planted(job, {"before": fair, "after": fails_the_south}), options)
    assert (found.name, found.outcome, found.unit) == ("groups.region", "broken", "share")
    assert found.before is not None
    assert found.before.value == 0
    assert found.value.value == 1  # all rows of the south are of the first label
    assert found.notes == ("too few rows to be compared: 'east' (2)",)
    assert [(line[0], line[1], line[3]) for line in found.tables[0].rows] == [
        ("east", 2, 1.0),
        ("north", 80, 1.0),
        ("south", 38, 0.0),
    ]
    assert all(example.what.startswith("south: says 'good'") for example in found.examples)
    (clean,) = groups.look(Planted(job, {"after": fair}), options)
    assert (clean.value.value, clean.outcome, clean.examples) == (0, "kept", ())


def test_a_gap_without_fairlearn_says_how_to_get_it(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fairlearn.metrics", None)
    with pytest.raises(ConfigError, match=r"need fairlearn.*pip install 'zogan\[fairness\]'"):
        groups.look(Planted(job, {"after": fair}), GroupsConfig(columns=("region",)))


def test_a_name_that_turns_the_answer(job: Job) -> None:
    options = GroupsConfig(swaps={"he": "she"}, swap_limit=0.05)
    (found,) = groups.look(Planted(job, {"before": fair, "after": flips_with_she}), options)
    assert (found.name, found.rows, found.value.value, found.outcome) == ("groups.swaps", 60, 1, "broken")
    assert found.difference is not None
    assert found.difference.low > 0.8
    assert found.examples[0].text.startswith("she says ")
    assert found.examples[0].what == "'good' becomes 'bad'"
    (clean,) = groups.look(Planted(job, {"after": fair}), GroupsConfig(swaps={"he": "she"}, swap_limit=0.1))
    assert clean.outcome == "kept"


def test_what_cannot_be_compared(job: Job) -> None:
    bench = Planted(job, {"after": fair})
    with pytest.raises(NotProbedError, match="neither columns nor swaps"):
        groups.look(bench, GroupsConfig())
    with pytest.raises(NotProbedError, match="no test row has one of the words"):
        groups.look(bench, GroupsConfig(swaps={"xyzzy": "plugh"}))
    with pytest.raises(NotProbedError, match="fewer than two groups of 90 rows"):
        groups.look(bench, GroupsConfig(columns=("region",), least=90))
    with pytest.raises(DataError, match="no test row has a value there"):
        groups.look(bench, GroupsConfig(columns=("colour",)))


def test_generation_compares_losses(tmp_path: Path) -> None:
    rows = [
        replace(row, columns=(("lang", "de" if place % 2 else "en"),))
        for place, row in enumerate(data.dialogue_rows(60))
    ]
    job = planted_job(tmp_path, "generation", test=rows)
    bench = Planted(job, {"after": lambda row: ("x", 2.0 if ("lang", "de") in row.columns else 1.5)})
    (found,) = groups.look(bench, GroupsConfig(columns=("lang",)))
    assert (found.value.value, found.unit) == (0.5, "plain")
    assert found.examples[0].what.startswith("de: says 'x'")
