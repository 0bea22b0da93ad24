"""What a part of a patch is judged by."""

from __future__ import annotations

from data import text_rows
from tiny_protocol import protocol
from zogan.evaluate.explanation.smallest import for_rows
from zogan.evaluate.protocol.protocol import ExternalTerms


def test_a_part_is_judged_by_what_is_measured_on_it() -> None:
    slices = [{"name": name, "matches": found, "floor": 0.5} for name, found in (("all", "."), ("none", "zzz"))]
    osaka = ExternalTerms(floor=0.8, rows=100, sha256="a" * 64)
    given = protocol(slices=slices, seeds=[0, 1]).model_copy(
        update={"external": {"osaka": osaka}, "probes": {"churn": {"limit": 0.02}}}
    )
    found = for_rows(given, 1, text_rows(12))
    assert (found.seeds, found.external, found.probes) == ((1,), {}, {})
    assert list(found.slices) == ["all"]
