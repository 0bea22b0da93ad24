"""Claim: the gain that a learning curve promises of twice the labels is the gain that they bring.

Two data sets that come with scikit-learn, a ridge classifier, a hundred splits of each; the gain that was brought is
the mean of fifteen runs at twice the labels less fifteen at all of them, on the same test rows.

    python benchmarks/doubling.py
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import RidgeClassifier

from zogan.evaluate.metrics import ratio
from zogan.evaluate.statistics import learning_curve

SPLITS, TRUE_RUNS = 100, 15
SETS = {"digits": (load_digits, 50, 600), "breast cancer": (load_breast_cancer, 20, 250)}
"""Where it comes from, a quarter of the labels, test rows."""


def study(name: str, runs: int) -> str:
    load, quarter, tests = SETS[name]
    inputs, labels = load(return_X_y=True)
    inputs = (inputs - inputs.mean(axis=0)) / np.maximum(inputs.std(axis=0), 1e-9)
    held, told, over = 0, 0, 0
    for seed in range(1000, 1000 + SPLITS):
        generator = np.random.default_rng(seed)
        order = generator.permutation(len(labels))
        test, rest = order[:tests], order[tests:]

        def right(
            size: int,
            times: int,
            test: np.ndarray = test,
            rest: np.ndarray = rest,
            generator: np.random.Generator = generator,
        ) -> np.ndarray:
            found = []
            for _ in range(times):
                drawn = generator.choice(rest, size, replace=False)
                model = RidgeClassifier().fit(inputs[drawn], labels[drawn])
                found.append(model.predict(inputs[test]) == labels[test])
            return np.array(found, dtype=np.float64)  # (runs, rows)

        sizes = (quarter, 2 * quarter, 4 * quarter)
        figures = np.stack([right(size, runs) for size in sizes])
        table = np.stack([figures, np.ones_like(figures)], axis=3)
        gain = learning_curve(
            table, ratio, sizes=sizes, higher_is_better=True, level=0.95, resamples=1000, seed=seed
        ).gain
        brought = right(8 * quarter, TRUE_RUNS).mean() - right(4 * quarter, TRUE_RUNS).mean()
        if gain is not None:
            told += 1
            held += gain.low <= brought <= gain.high
            over += brought < gain.low
    return f"| {name} | {runs} | {told} of {SPLITS} | {held / told:.0%} | {over / told:.0%} |"


def main() -> None:
    print("| data | runs a size | told | interval holds the gain | gain is below it |\n| --- | --- | --- | --- | --- |")
    for name in SETS:
        for runs in (3, 5):
            print(study(name, runs), flush=True)


if __name__ == "__main__":
    main()
