"""Limits find their readings."""

from __future__ import annotations

from typing import Any

from zogan.evaluate.probes.limits import answers, limited

OPTIONS: dict[str, dict[str, Any]] = {
    "churn": {"limit": 0.02},
    "groups": {"columns": ["region"], "limit": 0.05, "swap_limit": 0.01},
    "memorisation": {"limit": None, "canary_limit": 3.0},
    "mine": {"limit": 0.5},
}


def test_every_limit_is_named_by_the_reading_that_it_asks_for() -> None:
    found = limited(OPTIONS)
    assert found == {"churn": 0.02, "groups": 0.05, "groups.swaps": 0.01, "memorisation.canaries": 3.0, "mine": 0.5}
    assert [answers("groups.region", name) for name in found] == [False, True, False, False, False]
    assert [answers("groups.swaps", name) for name in found] == [False, False, True, False, False]
    assert [answers("churn.production", name) for name in found] == [True, False, False, False, False]
