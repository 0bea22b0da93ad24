"""Intervals have a width where nothing happens too, and a difference is taken on the same rows."""

from __future__ import annotations

import numpy as np
import pytest

from zogan.evaluate.probes.share import paired, share


def test_a_share_has_wilsons_interval() -> None:
    none = share(np.zeros(100, dtype=bool), level=0.95)
    assert (none.value, none.low) == (0, 0)
    assert none.high == pytest.approx(0.0370, abs=1e-4)
    some = share(np.arange(100) < 10, level=0.95)
    assert (some.low, some.high) == pytest.approx((0.0552, 0.1744), abs=1e-4)


def test_a_difference_is_paired() -> None:
    hits = np.arange(100) < 50
    assert paired(hits, hits, level=0.95).value == 0
    assert paired(~hits, hits, level=0.95).low < 0 < paired(~hits, hits, level=0.95).high
    assert paired(np.zeros(100, dtype=bool), hits, level=0.95).low > 0.3
