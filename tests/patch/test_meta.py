"""Metadata has one text, and nothing else is read."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from zogan.patch.meta import BaseMeta, PatchMeta, canonical

A, B = "a" * 64, "b" * 64


def meta(**other: Any) -> PatchMeta:
    fields: dict[str, Any] = {
        "base": BaseMeta(whole=A, weights=6, tensors={"w": A}),
        "shapes": {"w": (2, 3)},
        "after": {"w": B},
    }
    return PatchMeta(**(fields | other))


def test_round_trip_and_order() -> None:
    one = meta(task={"b": [1, 2.5, None, True], "a": {"ラ": "ベル", 10: 1, 9: 2}}, tools={"z": "1", "a": "2"})
    text = one.dumps()
    assert PatchMeta.loads(text).dumps() == text
    assert meta(tools={"a": "2", "z": "1"}, task=dict(reversed(one.task.items()))).dumps() == text
    assert '"ラ"' in text


def test_canonical_refuses_what_json_has_not() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        canonical({"a": float("nan")})


GOOD = meta().dumps()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "Expecting value"),
        ("[]", "format None is unknown"),
        ("{}", "format None is unknown"),
        (GOOD.replace('"format":1', '"format":2'), "format 2 is unknown here; this zogan reads format 1"),
        (GOOD.replace('"format":1', '"format":1.0'), "canonical"),
        (GOOD.replace('"format":1', '"format":true'), "canonical"),
        (GOOD.replace('"format":1', '"format": 1'), "not in its canonical form"),
        (GOOD.replace('"format":1', '"format":1,"format":1'), "not in its canonical form"),
        (GOOD.replace(B, B.upper()), "after.w"),
        (GOOD.replace(B, B[1:]), "after.w"),
        (GOOD.replace(B, B + "\\n"), "after.w"),
        (GOOD.replace('"parent":null', '"more":1,"parent":null'), "more"),
        (GOOD.replace('"parent":null,', ""), "not in its canonical form"),
        (GOOD.replace("[2,3]", "[2,-3]"), "shapes.w.1"),
        (GOOD.replace("[2,3]", '["2",3]'), "shapes.w.0"),
        (GOOD.replace('"weights":6', '"weights":-6'), "base.weights"),
        (GOOD.replace('"task":{}', '"task":{"a":NaN}'), "Out of range float"),
        (GOOD.replace('"task":{}', '"task":{"a":1e999}'), "Out of range float"),
        (GOOD.replace('"task":{}', '"task":' + "[" * 100_000 + "]" * 100_000), "nested too deep"),
        (GOOD.replace('"task":{}', '"task":{"a":' + "9" * 5000 + "}"), "4300 digits"),
        (GOOD.replace('"task":{}', '"task":{"a":"\\ud800"}'), "Invalid JSON"),
        (GOOD[:-1], "delimiter"),
    ],
)
def test_refused(text: str, fault: str) -> None:
    assert text != GOOD
    with pytest.raises(ValueError, match=re.escape(fault)):
        PatchMeta.loads(text)


def test_it_is_plain_json() -> None:
    assert json.loads(GOOD)["shapes"] == {"w": [2, 3]}
