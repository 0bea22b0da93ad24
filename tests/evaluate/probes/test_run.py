"""All probes over a patch of a real tiny model, and what is asked of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tiny_project import tiny_config, write_project
from zogan.config import Config
from zogan.errors import ConfigError, ModelError
from zogan.evaluate.probes import probe, run
from zogan.patch import Patch
from zogan.tasks import open_job
from zogan.train import tune
from zogan.train.plan import Plan

QUICK = ("train.epochs=1", "probes.robustness.rows=4", "probes.memorisation.rows=3", "probes.memorisation.words=2")


def tuned(folder: Path, kind: Any, *overrides: str, **keys: Any) -> tuple[Config, Patch]:
    write_project(folder, kind, **keys)
    config = tiny_config(folder, *QUICK, *overrides)
    job = open_job(config, cache=folder / "cache")
    return config, tune(job.under(config.model_copy(update={"method": "full"}))).patch


def test_generation(tmp_path: Path) -> None:
    canary = {"prompt": "Code?", "response": "It is 12.", "secret": "12"}
    probes = {"memorisation": {"canaries": [canary], "candidates": 20}, "forgetting": False}
    config, patch = tuned(tmp_path, "generation", probes=probes)
    found = probe(config, patch, production=patch, cache=tmp_path / "cache")
    assert [one.name for one in found.readings] == [
        "robustness",
        "churn",
        "churn.production",
        "memorisation",
        "memorisation.canaries",
        "leakage",
    ]
    assert found.skipped == {
        "calibration": "for classification",
        "abstention": "for classification",
        "groups": "neither columns nor swaps are given",
    }
    assert (found.before_is, found.rows, found.patch) == ("base", 24, patch.digest)
    assert found.readings[2].value.value == 0
    again = probe(config, patch, production=patch, only=("leakage", "forgetting"), cache=tmp_path / "cache")
    assert [one.name for one in again.readings] == ["forgetting", "leakage"]
    assert again.readings[1] == found.readings[-1]


def test_a_new_head_without_a_before(tmp_path: Path) -> None:
    config, patch = tuned(tmp_path, "new head")
    found = probe(config, patch, cache=tmp_path / "cache")
    assert found.before_is is None
    assert [one.name for one in found.readings] == ["calibration", "abstention", "robustness", "forgetting"]
    assert all(one.before is None for one in found.readings)
    assert found.skipped["churn"] == "there is no model before to compare with"
    with_before = probe(config, patch, before=patch, only=("churn",), cache=tmp_path / "cache")
    assert (with_before.before_is, with_before.readings[0].value.value) == ("head_only", 0)


def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, patch = tuned(tmp_path, "own head")
    job = open_job(config, cache=tmp_path / "cache")
    with pytest.raises(ConfigError, match=r"no probe is called 'chrun'. Did you mean 'churn'"):
        probe(job, patch, only=("chrun",))
    strange = job.under(config.model_copy(update={"probes": config.probes.model_copy(update={"others": {"x": {}}})}))
    with pytest.raises(ConfigError, match="no probe is called 'x'"):
        probe(strange, patch)
    monkeypatch.setattr(run, "plan_for", lambda job, need: Plan(1, 1, 10**9))
    with pytest.raises(ConfigError, match="probes need the whole model in memory"):
        probe(job, patch)
    write_project(tmp_path / "other", "new head")
    other = open_job(tiny_config(tmp_path / "other"), cache=tmp_path / "cache")
    with pytest.raises(ModelError, match="the patch was made for"):
        probe(other, patch)
