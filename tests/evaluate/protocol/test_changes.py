"""What changed since a protocol was frozen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from data import text_rows
from tiny_protocol import AT, protocol, rows_at_hand
from zogan.config import SliceConfig
from zogan.evaluate.protocol.changes import Changes, changes
from zogan.evaluate.protocol.lock import Lock
from zogan.evaluate.protocol.protocol import Protocol
from zogan.evaluate.protocol.sample import Sample

SLICE = {"name": "v. late", "matches": "late", "floor": 0.5}
ROLLBACK = {"watch": "error_rate", "above": 0.1, "tell": ["ops"]}


def lock(frozen: Protocol, test: Sample) -> Lock:
    return Lock(frozen_at=AT, protocol=frozen, sha256=frozen.digest, test=test)


def between(then: dict[str, Any], now: dict[str, Any]) -> Changes:
    rows = rows_at_hand()
    return changes(lock(protocol(**then), rows), protocol(**now), rows)


def test_nothing_changed() -> None:
    keys = {"slices": [SLICE], "rollback": [ROLLBACK], "limits": {"latency_ms": 3}}
    found = between(keys, keys)
    assert not found
    assert found.lines() == []


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        ({}, {"margin": 0.01}, "margin was 0.0, is 0.01"),
        ({"limits": {"latency_ms": 5}}, {}, "limits.latency_ms was 5.0, is absent"),
        ({"seeds": [2, 1]}, {"seeds": [1]}, "seeds was [1,2], is [1]"),
        (
            {},
            {"slices": [SLICE]},
            'slices.v. late was absent, is {"floor":0.5,"matches":"late","name":"v. late"}',
        ),
        ({"slices": [SLICE]}, {"slices": [{**SLICE, "floor": 0.4}]}, "slices.v. late.floor was 0.5, is 0.4"),
        ({"rollback": [ROLLBACK]}, {"rollback": [{**ROLLBACK, "above": 0.2}]}, "rollback.1.above was 0.1, is 0.2"),
        (
            {"rollback": [ROLLBACK]},
            {},
            'rollback.1 was {"above":0.1,"tell":["ops"],"watch":"error_rate","window_minutes":60.0}, is absent',
        ),
    ],
)
def test_each_key_is_named(then: dict[str, Any], now: dict[str, Any], said: str) -> None:
    found = between(then, now)
    assert found
    assert found.lines() == [said]
    assert len(found.as_json()["keys"]) == 1


def test_another_base_is_told_by_its_first_digits() -> None:
    rows, one = rows_at_hand(), protocol()
    found = changes(lock(one, rows), one.model_copy(update={"base": "c" * 64}), rows)
    assert found.lines() == ["base was bbbbbbbbbbbb, is cccccccccccc"]


def test_rows_that_came_and_went_are_counted() -> None:
    rows, one = text_rows(12), protocol()
    found = changes(lock(one, rows_at_hand(rows)), one, rows_at_hand([*rows[3:], *text_rows(5, start=100)]))
    assert found.lines() == ["test rows: 5 added, 3 removed"]
    assert found.as_json()["test"] == {"added": 5, "removed": 3, "reordered": False}


def test_a_row_that_stands_twice_is_counted_twice() -> None:
    rows, one = text_rows(3), protocol()
    found = changes(lock(one, rows_at_hand([*rows, rows[0]])), one, rows_at_hand(rows))
    assert (found.added, found.removed) == (0, 1)


def test_the_order_of_the_rows_is_seen() -> None:
    rows, one = text_rows(6), protocol()
    found = changes(lock(one, rows_at_hand(rows)), one, rows_at_hand(rows[::-1]))
    assert found.lines() == ["the test rows stand in another order"]


def test_other_members_of_a_slice_are_seen() -> None:
    given = {"name": "english", "column": "lang", "value": "en", "floor": 0.5}
    one, slices = protocol(slices=[given]), [SliceConfig.model_validate(given)]

    def english(*places: int) -> Sample:
        rows = [replace(row, columns=(("lang", "en"),) if at in places else ()) for at, row in enumerate(text_rows(6))]
        return rows_at_hand(rows, slices)

    assert not changes(lock(one, english(0, 1)), one, english(0, 1))
    found = changes(lock(one, english(0, 1)), one, english(0, 2))
    assert found.lines() == ["other test rows belong to slice 'english'"]
