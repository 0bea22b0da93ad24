"""Claim: with half a percent of the weights a text is learnt as well as by full fine-tuning, and as by LoRA.

SmolLM2 on the development settings that are generated, batches of two, two epochs: ours by its defaults, and each
method at several rates, of which the best on validation counts. `whole way` is ours without interpolation. The first
method is the one that the others are paired with. A second table says how like the right ones greedy answers are
(chrF), and what was forgotten: by how much the loss on text that has nothing to do with the task rose.

    python benchmarks/generation.py --data FOLDER --settings e2e-cleaned-400 [--seeds 5] [--budget-minutes 60]
"""

from __future__ import annotations

from development import GENERATION
from methods import Row
from quality import RATES, at_density
from study import run

OURS = (0.015, 0.005, 0.0015)


def chosen(criterion: str, rate: float, **train: int) -> Row:
    return {"train": {"rate": rate, **train}, "select": {"criterion": criterion, "allocation": "row"}}


VARIANTS: dict[str, Row] = {
    "ours": {},
    **{f"whole way, {rate:g}": {"train": {"rate": rate}, "regularize": {"interpolate": 0}} for rate in OURS},
    **{
        f"{method}, {rate:g}": {"method": method, "train": {"rate": rate}}
        for method in ("lora", "full")
        for rate in RATES[method]
    },
    "one epoch, 0.03": chosen("relative", 0.03, epochs=1),
    "second stage, 0.015": {**chosen("relative", 0.015), "adapters": {"two_stage": "always"}},
    **{f"gradient, {rate:g}": chosen("gradient", rate) for rate in (0.0015, 0.003, 0.006)},
    **{f"random, {rate:g}": chosen("random", rate) for rate in (0.0125, 0.025)},
    "contribution, 0.003": chosen("contribution", 0.003),
    "fisher, 0.003": chosen("fisher", 0.003),
    **{
        f"{method}, {rate:g}": {"method": method, "train": {"rate": rate}}
        for method in ("shira", "shira_gradient")
        for rate in (0.002, 0.006)
    },
    **at_density("shira_gradient"),
}

if __name__ == "__main__":
    run("generation", VARIANTS, __doc__, picked=True, settings=GENERATION)
