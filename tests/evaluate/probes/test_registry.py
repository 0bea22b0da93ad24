"""Probes are found by name, this package's and others'."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from zogan.errors import ConfigError
from zogan.evaluate.probes import registry
from zogan.evaluate.probes.registry import BUILT_IN, Probe, find, names, probe


def others(monkeypatch: pytest.MonkeyPatch, **points: str) -> None:
    found = [EntryPoint(name, value, registry.GROUP) for name, value in points.items()]
    monkeypatch.setattr(registry, "entry_points", lambda group: found)


def test_every_section_has_its_probe() -> None:
    assert len(BUILT_IN) == 8
    assert [find(name).name for name in BUILT_IN] == list(BUILT_IN)
    assert find("leakage").tasks == ("generation",)


@probe("generation")
def shouting(bench: Any, options: Any) -> list[Any]:
    """A probe of another package."""
    return []


def test_others_come_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    others(
        monkeypatch, shouting="zogan.evaluate.probes.churn:churn", broken="zogan.nothing:x", odd="zogan.errors:nearest"
    )
    assert names() == [*BUILT_IN, "broken", "odd", "shouting"]
    assert isinstance(find("shouting"), Probe)
    with pytest.raises(ConfigError, match="entry point 'broken' cannot be loaded"):
        find("broken")
    with pytest.raises(ConfigError, match="entry point 'odd' gives no Probe"):
        find("odd")
    with pytest.raises(ConfigError, match=r"no probe is called 'chrun'. Did you mean 'churn'"):
        find("chrun")
    others(monkeypatch, churn="zogan.evaluate.probes.churn:churn")
    with pytest.raises(ConfigError, match="'churn' has the name of a probe that is there"):
        names()


def test_a_function_becomes_a_probe_of_its_name() -> None:
    assert (shouting.name, shouting.tasks) == ("shouting", ("generation",))
