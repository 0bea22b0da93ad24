"""A plan as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data import dialogue_rows, make_config, text_rows
from zogan.errors import ConfigError
from zogan.evaluate.protocol.plan import Plan, Spread, plan
from zogan.evaluate.statistics import Mean
from zogan.report.plan import draw


def planned(folder: Path, task: str = "classification", **options: Any) -> Plan:
    rows = text_rows(90) if task == "classification" else dialogue_rows(90)
    return plan(make_config(folder, task, protocol=options.pop("protocol", {})), rows, **options)


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_a_picture_is_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"plan{suffix}"
    draw(planned(tmp_path), path)
    assert path.stat().st_size > 5000


def test_the_same_plan_makes_the_same_svg(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        draw(planned(tmp_path), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


@pytest.mark.parametrize(
    ("task", "options"),
    [
        ("generation", {}),
        ("generation", {"spread": Spread(Mean(0.3), "given"), "protocol": {"margin": 0.1}}),
        ("classification", {"protocol": {"claim": "non_inferiority", "margin": 0.05}}),
        ("classification", {"protocol": {"margin": 0.999}}),
    ],
)
def test_any_plan_can_be_drawn(tmp_path: Path, task: str, options: dict[str, Any]) -> None:
    draw(planned(tmp_path, task, **options), tmp_path / "plan.svg")
    assert "<svg" in (tmp_path / "plan.svg").read_text()


def test_no_kind_of_picture(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.doc is no kind of picture"):
        draw(planned(tmp_path), tmp_path / "plan.doc")
