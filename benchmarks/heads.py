"""Claim: where a new head starts, and how fast it learns, decide more than which weights are chosen.

MiniLM on the development settings, 0.5 % of the weights in all layers: each start at several rates of the head. The
first variant is the one that the others are paired with.

    python benchmarks/heads.py --data FOLDER [--settings banking77-5 sentiment-50] [--seeds 5] [--budget-minutes 60]
"""

from __future__ import annotations

from methods import Row
from study import run

STARTS, RATES = ("normal", "means", "ridge", "logistic"), (0.002, 0.0005, 0.005)

VARIANTS: dict[str, Row] = {
    f"{start}, {rate:g}": {
        "budget": {"depth": "all"},
        "train": {"head_start": start, "head_rate": rate, "epochs": 8, "batch_size": 32, "rate": 0.003},
    }
    for start in STARTS
    for rate in RATES
}

if __name__ == "__main__":
    run("heads", VARIANTS, __doc__)
