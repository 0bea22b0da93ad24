"""Rows are planned by the protocol, and of the test rows their number counts alone."""

from __future__ import annotations

from pathlib import Path

from data import make_config, text_rows
from zogan.evaluate.applicability.needed import planned
from zogan.evaluate.protocol.plan import Spread, plan
from zogan.evaluate.statistics import Mean, RightOrWrong

DESIGN = RightOrWrong(0.2)


def test_it_is_the_protocols_plan(tmp_path: Path) -> None:
    config, rows = make_config(tmp_path), text_rows(24)
    found = planned(config, rows, 0.05, DESIGN)
    assert found == plan(config, rows, difference=0.05, spread=Spread(DESIGN, "measured"))


def test_slices_are_clauses_and_no_text_is_read(tmp_path: Path) -> None:
    slices = [{"name": "none has it", "matches": "no such text", "floor": 0.5}]
    config = make_config(tmp_path, protocol={"slices": slices})
    alone, found = (
        planned(make_config(tmp_path), text_rows(24), 0.05, DESIGN),
        planned(config, text_rows(24), 0.05, DESIGN),
    )
    assert found is not None
    assert alone is not None
    assert found.level == alone.level / 2
    assert (found.needed or 0) > (alone.needed or 0) > 24


def test_no_rows_and_no_such_improvement_have_no_plan(tmp_path: Path) -> None:
    assert planned(make_config(tmp_path), (), 0.05, DESIGN) is None
    assert planned(make_config(tmp_path), text_rows(3), 1.5, Mean(1.0)) is None
