"""Claim: with half a percent of the weights a text is learnt as well as by full fine-tuning, and as by LoRA.

SmolLM2 on the development settings that are generated, batches of two, two epochs: each method at several rates, of
which the best on validation counts. The first method is the one that the others are paired with. A second table says
how like the right ones greedy answers are (chrF), and what was forgotten: by how much the loss on text that has
nothing to do with the task rose.

    python benchmarks/generation.py --data FOLDER --settings e2e-cleaned-400 [--seeds 5] [--budget-minutes 60]
"""

from __future__ import annotations

from development import GENERATION
from methods import Row
from quality import RATES, at_density
from study import run

OURS = (0.003, 0.0015, 0.006)

VARIANTS: dict[str, Row] = {
    **{f"ours, {rate:g}": {"train": {"rate": rate}} for rate in OURS},
    **{
        f"{method}, {rate:g}": {"method": method, "train": {"rate": rate}}
        for method in ("lora", "full")
        for rate in RATES[method]
    },
    "one epoch, 0.003": {"train": {"rate": 0.003, "epochs": 1}},
    "second stage, 0.003": {"train": {"rate": 0.003}, "adapters": {"two_stage": "always"}},
    "second stage, 0.0015": {"train": {"rate": 0.0015}, "adapters": {"two_stage": "always"}},
    "contribution, 0.003": {"train": {"rate": 0.003}, "select": {"criterion": "contribution"}},
    "fisher, 0.003": {"train": {"rate": 0.003}, "select": {"criterion": "fisher"}},
    "random, 0.003": {"train": {"rate": 0.003}, "select": {"criterion": "random"}},
    "global, 0.003": {"train": {"rate": 0.003}, "select": {"allocation": "global"}},
    **{
        f"{method}, {rate:g}": {"method": method, "train": {"rate": rate}}
        for method in ("shira", "shira_gradient")
        for rate in (0.002, 0.006)
    },
    **at_density("shira_gradient"),
}

if __name__ == "__main__":
    run("generation", VARIANTS, __doc__, picked=True, settings=GENERATION)
