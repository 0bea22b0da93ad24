"""Which figures give which answer."""

from __future__ import annotations

from typing import Any

import pytest

from zogan.evaluate.applicability.answer import of_classes, of_texts
from zogan.evaluate.applicability.result import Told

CLASSES: dict[str, Any] = {
    "chance": 0.3,
    "head": 0.7,
    "neighbour": 0.6,
    "layers": 0.8,
    "headroom": 0.25,
    "reach": 0.1,
    "more_rows": 0.0,
    "top_1": 0.5,
}


def told(**values: Any) -> dict[str, Told]:
    """Figures with intervals of a tenth to each side, or of the ends that are given."""
    found = {}
    for name, value in values.items():
        middle, low = value if isinstance(value, tuple) else (value, value - 0.1)
        found[name] = Told(what=name, unit="share", value=middle, low=low, high=middle + 0.1, rows=100)
    return found


@pytest.mark.parametrize(
    ("changed", "answer", "reason"),
    [
        ({}, "suited", "hold 10.0 points more"),
        ({"top_1": 0.01}, "adapters_or_full", "the gradient is spread: the top 1 % of the weights hold 1.0 %"),
        ({"reach": 0.01}, "adapters_or_full", "hold only 1.0 points that its last does not show"),
        ({"headroom": 0.01}, "not_needed", "and 1.0 points are left to gain"),
        (
            {"more_rows": (0.12, 0.02)},
            "not_enough_data",
            "twice the training rows would bring a head alone 12.0 points",
        ),
        ({"more_rows": (0.12, 0.0)}, "suited", "hold 10.0 points more"),
        ({"more_rows": (0.08, 0.02)}, "suited", "hold 10.0 points more"),
        ({"more_rows": (0.12, 0.0), "reach": 0.01}, "not_enough_data", "may bring a head alone 12.0 points, though"),
        ({"head": 0.35, "neighbour": 0.3, "layers": 0.38}, "not_enough_data", "no row's label can be told"),
        ({"head": 0.35, "neighbour": 0.3}, "suited", "hold 10.0 points more"),
    ],
)
def test_classes(changed: dict[str, Any], answer: str, reason: str) -> None:
    found = of_classes(told(**{**CLASSES, **changed}))
    assert found[0] == answer
    assert reason in found[1]


def test_it_is_said_where_more_rows_are_not_known() -> None:
    given = {name: value for name, value in CLASSES.items() if name != "more_rows"}
    assert "what more rows would bring is not known" in of_classes(told(**{**given, "reach": 0.0}))[1]


TEXTS: dict[str, Any] = {"loss": 2.4, "shown": 1.9, "reach": 0.5, "neighbour": 30.0, "answers": 20.0, "top_1": 0.4}


@pytest.mark.parametrize(
    ("changed", "answer", "reason"),
    [
        ({}, "suited", "take the loss on its answer from 2.40 to 1.90 nats a token; and the top 1 %"),
        ({"top_1": 0.01}, "adapters_or_full", "the gradient is spread"),
        ({"loss": 0.08}, "not_needed", "is 0.08 nats a token already"),
        ({"reach": 0.02}, "adapters_or_full", "closer than the base's own (30.0 against 20.0)"),
        ({"reach": (0.5, -0.1)}, "adapters_or_full", "hardly help"),
        ({"reach": 0.02, "neighbour": 20.1}, "not_enough_data", "they say too little of one another"),
    ],
)
def test_texts(changed: dict[str, Any], answer: str, reason: str) -> None:
    found = of_texts(told(**{**TEXTS, **changed}))
    assert found[0] == answer
    assert reason in found[1]
