"""What may be tried stays around what is configured, and within its budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tiny_project import tiny_config, write_project
from zogan.errors import ConfigError
from zogan.search import space as module
from zogan.search.space import Between, OneOf, Space, space_for, value_of, with_settings
from zogan.tasks import open_job


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def space(folder: Path, kind: Any, *overrides: str, layers: int = 4) -> Space:
    write_project(folder, kind, layers=layers)
    return space_for(open_job(tiny_config(folder, *overrides)))


def test_a_classifier_with_a_new_head(tmp_path: Path) -> None:
    found = space(tmp_path, "new head")
    assert found.values["select.allocation"] == OneOf(("global", "tensor", "row"))
    assert found.values["budget.density"] == OneOf((0.02, 0.008, 0.004, 0.002))
    assert found.values["budget.depth"] == OneOf(("auto", 3, 2, 1))
    assert found.values["train.rate"] == Between(0.003 / 6, 0.012)
    assert found.values["train.head_rate"] == Between(0.002 / 6, 0.008)
    assert found.values["train.batch_size"] == OneOf((8, 16, 32, 64))
    assert found.values["regularize.label_smoothing"] == OneOf((0.0, 0.05, 0.1))
    assert found.values["regularize.average"] == OneOf((0.0, 0.3))
    assert found.values["regularize.decay"] == OneOf((0.0, 1.0))
    assert found.values["adapters.two_stage"] == OneOf(("never", "auto"))
    assert found.configured["train.epochs"] == 3
    assert found.configured["train.rate"] == 0.003


@pytest.mark.parametrize(
    ("kind", "method", "has", "lacks"),
    [
        ("own head", "sparse", "select.criterion", "train.head_rate"),
        ("generation", "sparse", "select.criterion", "train.head_rate"),
        ("new head", "lora", "lora.rank", "budget.density"),
        ("new head", "head", "train.head_rate", "train.rate"),
        ("new head", "head", "regularize.average", "regularize.decay"),
        ("new head", "lora", "regularize.decay", "adapters.two_stage"),
    ],
)
def test_only_what_the_job_has(tmp_path: Path, kind: str, method: str, has: str, lacks: str) -> None:
    found = space(tmp_path, kind, f"method={method}").values
    assert has in found
    assert lacks not in found


def test_generation_has_small_batches(tmp_path: Path) -> None:
    assert space(tmp_path, "generation").values["train.batch_size"] == OneOf((8, 1, 2, 4))


def test_depth_goes_no_deeper_than_the_budget(tmp_path: Path) -> None:
    assert space(tmp_path, "new head", "budget.depth=2").values["budget.depth"] == OneOf((2, 1))


def test_values_that_the_configuration_refuses_are_left_out(tmp_path: Path) -> None:
    found = space(tmp_path, "new head", "select.pattern=rows", "budget.time=0.9").values
    assert found["select.allocation"] == OneOf(("global", "tensor"))
    assert "budget.depth" not in found


def test_a_second_stage_needs_what_makes_adapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert "adapters.two_stage" not in space(tmp_path, "new head").values


def test_keys_that_are_named(tmp_path: Path) -> None:
    found = space(tmp_path, "new head", r"search.keys=train\..*rate")
    assert set(found.values) == {"train.rate", "train.head_rate"}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("train.rates", r"names no key that can be searched. Did you mean 'train.rate'"),
        ("(", "no regular expression"),
    ],
)
def test_keys_that_are_none(tmp_path: Path, keys: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        space(tmp_path, "new head", f"search.keys={keys}")


def test_settings_take_the_place_of_what_is_configured(tmp_path: Path) -> None:
    write_project(tmp_path)
    config = tiny_config(tmp_path)
    other = with_settings(config, {"train.rate": 0.01, "budget.depth": 1})
    assert (value_of(other, "train.rate"), other.budget.depth) == (0.01, 1)
    assert with_settings(config, {}) == config
    assert other.data == config.data
    with pytest.raises(ConfigError, match=r"budget\.depth=0"):
        with_settings(config, {"budget.depth": 0})
