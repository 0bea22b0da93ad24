"""Claim: 95 % intervals hold the truth about as often as they say, and where they do not it is known.

Simulated rows of which the truth is known; each figure in the table is a share of 4,000 data sets (its own chance: 0.3
points), but for the score interval, which is exact. Needs no data.

    python benchmarks/intervals.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from zogan.evaluate.statistics import RightOrWrong, components, intervals, intervals_of_samples

SETS, AT_ONCE, RESAMPLES, LEVEL = 4000, 200, 2000, 0.95
ROWS = (50, 100, 200, 400)

Draw = Callable[[np.random.Generator, int], np.ndarray]
"""From a generator and a number of rows to so many sets of rows: (rows, sets)."""


def mean(counts: np.ndarray, table: np.ndarray) -> np.ndarray:
    return np.asarray(counts @ table / counts.sum(axis=1, keepdims=True))


def right_or_wrong(gained: float, lost: float) -> Draw:
    shares = [gained, lost, 1 - gained - lost]
    return lambda generator, rows: generator.choice([1.0, -1.0, 0.0], p=shares, size=(rows, AT_ONCE))


def loss(generator: np.random.Generator, rows: int) -> np.ndarray:
    hard = generator.gamma(2, 1, (rows, AT_ONCE))
    return np.asarray(-0.1 * hard + 0.2 * np.sqrt(hard) * generator.normal(size=(rows, AT_ONCE)))


def loss_with_outliers(generator: np.random.Generator, rows: int) -> np.ndarray:
    hard = generator.gamma(1.5, 1, (rows, AT_ONCE))
    return np.asarray(-0.1 * hard + 0.3 * np.sqrt(hard) * generator.standard_t(5, size=(rows, AT_ONCE)))


def bootstrap(draw: Draw, truth: float, rows: int) -> float:
    inside = 0
    for seed in range(SETS // AT_ONCE):
        table = draw(np.random.default_rng(seed), rows)
        found = intervals(lambda counts, of=table: mean(counts, of), rows, level=LEVEL, resamples=RESAMPLES, seed=seed)  # type: ignore[misc]
        inside += sum(one.low <= truth <= one.high for one in found)
    return inside / SETS


def score(gained: float, lost: float, rows: int) -> float:
    truth, design = gained - lost, RightOrWrong(gained + lost)
    return 1 - sum(design.power(rows, improvement=side, beyond=side, level=LEVEL) for side in (truth, -truth))


def gap(training: int, held_out: int) -> float:
    inside = 0
    for seed in range(SETS // AT_ONCE):
        generator = np.random.default_rng(seed)
        seen, unseen = generator.gamma(2, 0.5, (training, AT_ONCE)), generator.gamma(2, 0.6, (held_out, AT_ONCE))
        found = intervals_of_samples(
            lambda one, two, seen=seen, unseen=unseen: mean(two, unseen) - mean(one, seen),
            (training, held_out),
            level=LEVEL,
            resamples=RESAMPLES,
            seed=seed,
        )
        inside += sum(one.low <= 0.2 <= one.high for one in found)
    return inside / SETS


def seeds(number: int, of_seeds: float) -> float:
    generator, inside = np.random.default_rng(0), 0
    for _ in range(SETS):
        table = of_seeds * generator.normal(size=(number, 1)) + generator.normal(size=(1, 200))
        found = components(table + 0.5 * generator.normal(size=(number, 200)), level=LEVEL)
        inside += found.low <= 0 <= found.high
    return inside / SETS


def lines() -> Iterator[str]:
    yield f"| difference | interval | {' | '.join(f'{rows} rows' for rows in ROWS)} |"
    yield "| --- | --- |" + " --- |" * len(ROWS)
    for gained, lost in ((0.1, 0.05), (0.02, 0.02)):
        name = f"accuracy, {gained:.0%} of rows gained, {lost:.0%} lost"
        drawn = [bootstrap(right_or_wrong(gained, lost), gained - lost, rows) for rows in ROWS]
        yield row(name, "bootstrap", drawn)
        yield row("", "score", [score(gained, lost, rows) for rows in ROWS])
    yield row("mean loss", "bootstrap", [bootstrap(loss, -0.2, rows) for rows in ROWS])
    yield row("mean loss with outliers", "bootstrap", [bootstrap(loss_with_outliers, -0.15, rows) for rows in ROWS])
    yield ""
    for sizes in ((150, 100), (400, 200)):
        yield f"Gap of a loss, {sizes[0]} training rows and {sizes[1]} held out: {gap(*sizes):.1%}"
    for number, of_seeds in ((3, 0.0), (3, 0.1), (3, 0.3), (5, 0.3)):
        yield f"{number} seeds of 200 rows, deviation {of_seeds} between them: {seeds(number, of_seeds):.1%}"


def row(name: str, kind: str, shares: list[float]) -> str:
    return f"| {name} | {kind} | {' | '.join(f'{share:.1%}' for share in shares)} |"


def main() -> None:
    for line in lines():
        print(line, flush=True)


if __name__ == "__main__":
    main()
