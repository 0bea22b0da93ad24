"""Claim: with few rows, what holds training back toward the base pays, and it is told what and how much.

MiniLM on the development settings, by the defaults: each technique of `regularize:` alone, at two strengths, and the
size of the patch beside it. The first variant, without any, is what the others are paired with.

    python benchmarks/restraint.py --data FOLDER [--settings banking77-5 sentiment-50] [--seeds 5] [--budget-minutes 60]
"""

from __future__ import annotations

from methods import Row
from study import run

STRENGTHS: dict[str, tuple[float, ...]] = {
    "threshold": (0.1, 0.3),
    "average": (0.3, 0.6),
    "label_smoothing": (0.05, 0.1),
    "interpolate": (5,),
    "decay": (1.0, 10.0),
    "mixout": (0.1, 0.5),
    "r_drop": (0.5, 2.0),
}

NONE = {"r_drop": 0.0}
"""What few rows have by themselves is left out."""

VARIANTS: dict[str, Row] = {
    "none": {"regularize": NONE},
    **{
        f"{technique}, {strength:g}": {"regularize": {**NONE, technique: strength}}
        for technique, strengths in STRENGTHS.items()
        for strength in strengths
    },
}

if __name__ == "__main__":
    run("restraint", VARIANTS, __doc__)
