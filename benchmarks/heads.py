"""Claim: where a new head starts, and how fast it learns, decide more than which weights are chosen.

MiniLM on the development settings, 0.5 % of the weights in all layers: each start at several rates of the head and of
the chosen weights, and heads that have trained alone for some epochs before. The first variant is the one that the
others are paired with.

    python benchmarks/heads.py --data FOLDER [--settings banking77-5 sentiment-50] [--seeds 5] [--budget-minutes 60]
"""

from __future__ import annotations

from methods import Row, merged
from study import run

STARTS = ("normal", "logistic", "ridge", "means")
RATES = ((0.002, 0.003), (0.0005, 0.003), (0.002, 0.001), (0.0005, 0.001), (0.005, 0.003))
"""Of the head, and of the chosen weights."""

WARMUPS = (1, 4, 16)
"""Epochs of the head alone."""

WARM = (("normal", 0.005, 0.003), ("normal", 0.002, 0.003), ("normal", 0.002, 0.001), ("means", 0.002, 0.001))
"""Start and rates of the heads that train alone first."""


def variant(start: str, head_rate: float, rate: float) -> Row:
    return {
        "budget": {"depth": "all"},
        "regularize": {"r_drop": 0.0},
        "train": {"head_start": start, "head_rate": head_rate, "epochs": 8, "batch_size": 32, "rate": rate},
    }


VARIANTS: dict[str, Row] = {
    f"{start}, {head_rate:g}, {rate:g}": variant(start, head_rate, rate)
    for head_rate, rate in RATES
    for start in STARTS
} | {
    f"{start}, {head_rate:g}, {rate:g}, alone for {epochs}": merged(
        variant(start, head_rate, rate), {"train": {"head_warmup": epochs}}
    )
    for start, head_rate, rate in WARM
    for epochs in WARMUPS
}

if __name__ == "__main__":
    run("heads", VARIANTS, __doc__)
