"""When a patch is taken back in operation, as its protocol says."""

from __future__ import annotations

from zogan.config import RollbackConfig
from zogan.report.record import Record
from zogan.report.words import Words


def rules(record: Record) -> tuple[RollbackConfig, ...]:
    """The protocol's criteria; none where it has none."""
    return record.protocol.rollback if record.protocol is not None else ()


def threshold(rule: RollbackConfig, words: Words) -> str:
    """above 0.02"""
    if rule.above is not None:
        return words("rollback.above", value=words.small_number(rule.above))
    assert rule.below is not None  # one of the two is there
    return words("rollback.below", value=words.small_number(rule.below))


def criteria(record: Record, words: Words) -> list[str]:
    """A sentence a criterion."""
    return [
        words(
            "rollback.say",
            watch=rule.watch,
            threshold=threshold(rule, words),
            minutes=words.small_number(rule.window_minutes),
            tell=words("list").join(rule.tell),
        )
        for rule in rules(record)
    ]
