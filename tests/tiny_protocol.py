"""A protocol and test rows for the tests to freeze."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data import text_rows
from zogan.config import ProtocolConfig, SliceConfig
from zogan.data.rows import Row
from zogan.evaluate.protocol.protocol import Protocol
from zogan.evaluate.protocol.sample import Sample, sample

AT = "2026-01-02T03:04:05+00:00"


def protocol(**keys: Any) -> Protocol:
    """A protocol in full, with some of its keys as `protocol:` has them."""
    given = ProtocolConfig.model_validate(keys)
    return Protocol(
        task="classification",
        base="b" * 64,
        metric=given.metric or "accuracy",
        against=given.against or "base",
        patch=None,
        claim=given.claim,
        margin=given.margin,
        alpha=given.alpha,
        seeds=given.seeds or (0,),
        slices={one.name: one for one in given.slices},
        limits=given.limits,
        rollback=given.rollback,
        answers=None,
        max_new_tokens=None,
    )


def rows_at_hand(rows: Sequence[Row] | None = None, slices: Sequence[SliceConfig] = ()) -> Sample:
    """Test rows by hashes."""
    return sample(text_rows(12) if rows is None else rows, slices)
