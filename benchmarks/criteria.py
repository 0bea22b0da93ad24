"""Claim: which weights are chosen matters less than where the head starts, and the default is as good as any.

Each criterion, allocation and density on the development settings; random positions are the rival that a criterion has
to beat. Then other kinds of parameters in the place of some elements: vectors that train whole, and embeddings. Last,
weights that are selected anew while they train (`train.reselect`). The first variant is the one that the others are
paired with.

    python benchmarks/criteria.py --data FOLDER [--settings banking77-5 sentiment-50] [--seeds 5] [--budget-minutes 60]
"""

from __future__ import annotations

from typing import Any

from methods import Row
from study import run
from zogan.select.criteria import CRITERIA

ALLOCATIONS, DENSITIES = ("global", "tensor", "row"), (0.005, 0.001, 0.02)
KINDS = (
    ("matrices", "biases"),
    ("matrices", "norms"),
    ("matrices", "biases", "norms"),
    ("matrices", "embeddings"),
    ("matrices", "biases", "norms", "embeddings"),
    ("biases", "norms"),
)
LATER = "second_order"


def variant(criterion: str, allocation: str, density: float, **select: Any) -> Row:
    return {
        "select": {"criterion": criterion, "allocation": allocation, **select},
        "budget": {"depth": "all", "density": density},
        "regularize": {"r_drop": 0.0},
        "train": {"epochs": 8, "batch_size": 32, "rate": 0.003},
    }


# At the usual density first, so that the table is of use before the night is over.
VARIANTS: dict[str, Row] = {
    f"{criterion}, {allocation}, {density:.1%}": variant(criterion, allocation, density)
    for density in DENSITIES
    for criterion in CRITERIA
    if criterion != LATER
    for allocation in ALLOCATIONS
}
# After those, so that the nights before this one go on where they were.
VARIANTS |= {
    f"gradient, global, {density:.1%}, {' + '.join(kinds)}": variant("gradient", "global", density, parameters=[*kinds])
    for density in (0.005, 0.02)  # below that vectors alone pass the share
    for kinds in KINDS
}
VARIANTS |= {
    f"{LATER}, {allocation}, {density:.1%}": variant(LATER, allocation, density)
    for density in DENSITIES
    for allocation in ALLOCATIONS
}
# Weights that share no few input features bear larger steps than those with the largest gradients.
VARIANTS |= {
    f"{criterion}, row, 0.5%, rate {rate:g}": {
        **(chosen := variant(criterion, "row", 0.005)),
        "train": {**chosen["train"], "rate": rate},
    }
    for criterion in ("relative", "random")
    for rate in (0.006, 0.012)
}

# Chosen once, or chosen anew three times on the way: what training hardly moves makes way for others.
VARIANTS |= {
    "gradient, global, 0.5%, reselect": {
        **(once := variant("gradient", "global", 0.005)),
        "train": {**once["train"], "reselect": 3},
    }
}

if __name__ == "__main__":
    run("criteria", VARIANTS, __doc__)
