"""A limit is read from the interval; probes.json comes back as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zogan.errors import RunError
from zogan.evaluate.evaluation import Figure
from zogan.evaluate.probes.reading import Probes, Reading


def reading(low: float, high: float, method: Any = "score") -> Reading:
    value = Figure(value=(low + high) / 2, low=low, high=high, method=method)
    return Reading(name="a", figure="a", unit="share", rows=9, value=value)


def test_outcomes() -> None:
    assert reading(0.1, 0.2).held_to(None).outcome is None
    assert reading(0.1, 0.2).held_to(0.2).outcome == "kept"
    assert reading(0.1, 0.2).held_to(0.15).outcome == "undecided"
    assert reading(0.1, 0.2).held_to(0.1).outcome == "undecided"
    assert reading(0.1, 0.2).held_to(0.09).outcome == "broken"
    assert reading(0.1, 0.1, "none").held_to(0.5).outcome == "undecided"


def test_it_comes_back(tmp_path: Path) -> None:
    readings = (reading(0.1, 0.2).held_to(0.05), reading(0.1, 0.2).held_to(0.5))
    found = Probes(
        task="generation", patch="a" * 64, before_is="base", rows=9, level=0.95, seed=0, readings=readings,
        skipped={"calibration": "for classification"},
    )  # fmt: skip
    path = tmp_path / "probes.json"
    path.write_text(found.dumps())
    assert Probes.load(path) == found
    assert found.broken == ("a",)
    path.write_text("{}")
    with pytest.raises(RunError, match=r"probes\.json: cannot be read"):
        Probes.load(path)
