"""Claim: a second stage of small adapters is kept where it pays, and costs nothing where it does not.

The development settings by the defaults, without a second stage, with one where validation says that it pays (`auto`),
and with one in any case (`always`). The first variant is what the others are paired with.

    python benchmarks/stage_two.py --data FOLDER [--settings banking77-5 sentiment-50] [--seeds 5] [--budget-minutes 60]
"""

from __future__ import annotations

from methods import Row
from study import run

VARIANTS: dict[str, Row] = {
    "never": {},
    **{stage: {"adapters": {"two_stage": stage}} for stage in ("auto", "always")},
}

if __name__ == "__main__":
    run("stage-two", VARIANTS, __doc__)
