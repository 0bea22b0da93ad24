"""The protocol in full: what is left open is filled in, and what cannot be is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data import make_config
from tiny_project import KINDS, tiny_config, write_project
from zogan.config import ProtocolConfig
from zogan.errors import ConfigError
from zogan.evaluate.protocol.protocol import deciding, in_full
from zogan.patch import Patch
from zogan.tasks import open_job
from zogan.tasks.job import Job


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Job]:
    found: dict[str, Job] = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp("project")
        write_project(folder, kind)
        found[kind] = open_job(tiny_config(folder), cache=folder / "cache")
    return found


def under(job: Job, **keys: Any) -> Job:
    """The job with another protocol."""
    return job.under(job.config.model_copy(update={"protocol": ProtocolConfig.model_validate(keys)}))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("new head", ("accuracy", "head_only", None)),
        ("own head", ("accuracy", "base", None)),
        ("generation", ("loss", "base", 3)),
    ],
)
def test_nothing_given_is_a_usable_protocol(
    jobs: dict[str, Job], kind: str, expected: tuple[str, str, int | None]
) -> None:
    found = in_full(jobs[kind])
    assert (found.metric, found.against, found.answers) == expected
    assert (found.claim, found.margin, found.alpha, found.seeds) == ("superiority", 0.0, 0.05, (0,))
    assert found.base == jobs[kind].base.fingerprint.whole
    assert json.loads(found.dumps())["correction"] == "holm"


def test_what_is_given_stands(jobs: dict[str, Job]) -> None:
    keys = {"metric": "macro_f1", "against": "full", "claim": "non_inferiority", "margin": 0.02, "seeds": [3, 1]}
    found = in_full(under(jobs["new head"], **keys))
    assert (found.metric, found.against, found.margin, found.seeds) == ("macro_f1", "full", 0.02, (1, 3))


@pytest.mark.parametrize(
    ("kind", "against", "said"),
    [
        ("new head", "base", "predicts nothing here: the task has a new head. Take head_only"),
        ("own head", "head_only", "is for a new head, and this base has one that fits. Take base"),
        ("generation", "head_only", "is for a new head"),
    ],
)
def test_what_it_is_held_against_must_be_there(jobs: dict[str, Job], kind: str, against: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"protocol.against: '{against}' {said}"):
        in_full(under(jobs[kind], against=against))


def test_the_patch_in_use_is_known_by_its_digest(jobs: dict[str, Job], tmp_path: Path) -> None:
    job, path = jobs["own head"], tmp_path / "in_use.safetensors"
    patch = Patch.capture({}, {}, job.base.fingerprint, job.base.folder)
    patch.save(path)
    found = in_full(under(job, against="production", patch=path))
    assert found.patch == patch.digest
    assert str(tmp_path) not in found.dumps()
    with pytest.raises(ConfigError, match="belongs to another base"):
        in_full(under(jobs["new head"], against="production", patch=path))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"metric": "acuracy"}, "classification has no metric 'acuracy'. Did you mean 'accuracy'"),
        ({"metric": "loss"}, "classification has no metric 'loss'. Known: accuracy, macro_f1"),
        ({"margin": 2}, "protocol.margin: 2 is as much as accuracy can be, 1, or more. Give a share: 0.02 for 2 %"),
        ({"slices": [{"name": "a", "matches": "b", "floor": 80}]}, "'a': its floor, 80, is more than accuracy can be"),
    ],
)
def test_what_the_metric_cannot_be_is_refused(tmp_path: Path, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        deciding(make_config(tmp_path, protocol=keys))


def test_figures_without_a_bound_have_any_margin(tmp_path: Path) -> None:
    config = make_config(tmp_path, "generation", protocol={"metric": "perplexity", "margin": 200})
    assert deciding(config).name == "perplexity"


def test_probes_with_a_limit_belong_to_it(tmp_path: Path) -> None:
    write_project(tmp_path, "own head")
    cache = tmp_path / "cache"
    without, off, limited = (
        in_full(open_job(tiny_config(tmp_path, *overrides), cache=cache))
        for overrides in (
            ("probes.churn.patch=some.safetensors",),
            ("probes.churn={run: false, limit: 0.1}",),
            ("probes.churn={patch: some.safetensors, limit: 0.1}", "probes.seed=3"),
        )
    )
    assert without.probes == off.probes == {}
    assert without.digest == off.digest != limited.digest
    assert "probes" not in without.dumps()
    assert limited.probes == {"churn": {"seed": 3, "run": True, "limit": 0.1}}
