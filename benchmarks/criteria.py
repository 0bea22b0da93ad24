"""Claim: which weights are chosen matters less than where the head starts, and the default is as good as any.

Each criterion, allocation and density on the development settings; random positions are the rival that a criterion has
to beat. The first variant is the one that the others are paired with.

    python benchmarks/criteria.py --data FOLDER [--settings banking77-5 sentiment-50] [--seeds 5] [--budget-minutes 60]
"""

from __future__ import annotations

from methods import Row
from study import run
from zogan.select.criteria import CRITERIA

ALLOCATIONS, DENSITIES = ("global", "tensor", "row"), (0.005, 0.001, 0.02)


def variant(criterion: str, allocation: str, density: float) -> Row:
    return {
        "select": {"criterion": criterion, "allocation": allocation},
        "budget": {"depth": "all", "density": density},
        "train": {"epochs": 8, "batch_size": 32, "rate": 0.003},
    }


# At the usual density first, so that the table is of use before the night is over.
VARIANTS: dict[str, Row] = {
    f"{criterion}, {allocation}, {density:.1%}": variant(criterion, allocation, density)
    for density in DENSITIES
    for criterion in CRITERIA
    for allocation in ALLOCATIONS
}

if __name__ == "__main__":
    run("criteria", VARIANTS, __doc__)
