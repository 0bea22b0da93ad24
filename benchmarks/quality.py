"""Claim: by its defaults, sparse tuning is as good as full fine-tuning and its peers at their best rates of four.

Ours with nothing configured but model, task and rows; the others in zogan's own loop with its defaults, each at four
rates of which the best on validation counts, for each setting and seed; on the development settings. Peers have the
values of LoRA of rank 8, and once more as many as ours: half a percent of the matrices, LoRA by the nearest whole
rank. The table has means, differences from ours over all pairs, and ranks.

    python benchmarks/quality.py --data FOLDER [--settings banking77-5 sentiment-50] [--seeds 5] [--budget-minutes 60]

SetFit is among the methods where its package is installed (`pip install --group peers`).
"""

from __future__ import annotations

from importlib.util import find_spec

from methods import Row
from study import run
from zogan.config import BudgetConfig
from zogan.pilot import HEAD_ONLY

RATES: dict[str, tuple[float, ...]] = {
    "full": (2e-5, 5e-5, 1e-4, 2e-4),
    "lora": (5e-4, 1e-3, 2e-3, 4e-3),
    "rslora64": (1e-4, 2e-4, 5e-4, 1e-3),
    "shira": (1e-3, 2e-3, 3e-3, 6e-3),
    "shira_gradient": (1e-3, 2e-3, 3e-3, 6e-3),
}

DENSITY: float = BudgetConfig.model_fields["density"].default
"""Of ours, where nothing is configured."""


def at_density(method: str) -> dict[str, Row]:
    """A peer with as many values as ours, at its rates."""
    return {
        f"{method} at {DENSITY:.1%}, {rate:g}": {
            "method": method,
            "peer": {"density": DENSITY},
            "train": {"rate": rate},
        }
        for rate in RATES[method]
    }


VARIANTS: dict[str, Row] = {
    "ours": {},
    **{
        f"{method}, {rate:g}": {"method": method, "train": {"rate": rate}}
        for method, rates in RATES.items()
        for rate in rates
    },
    **at_density("shira_gradient"),
    **at_density("shira"),
    **at_density("lora"),
    "head": {"method": "head", "train": {**HEAD_ONLY, "patience": None}},
    "logistic": {"method": "logistic"},
}
if find_spec("setfit"):
    VARIANTS["setfit"] = {
        "method": "setfit",
        "train": {"batch_size": 16, "rate": 2e-5, "epochs": 1},
        "setfit": {"max_steps": 400},
    }

if __name__ == "__main__":
    run("quality", VARIANTS, __doc__, picked=True)
