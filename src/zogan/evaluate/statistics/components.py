"""How much of a figure's chance lies in the seed, and how much in the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy import stats

from zogan.errors import DataError
from zogan.evaluate.statistics.interval import share


@dataclass(frozen=True, slots=True)
class Components:
    """A mean over seeds and rows, its interval, and where its chance lies.

    Args:
        value: the mean.
        low: lower end of the interval, in which both seeds and rows are chance.
        high: upper end.
        freedom: degrees of freedom of the interval.
        seeds: variance between seeds, in the figure's unit squared.
        rows: variance between rows.
        rest: variance of a row at a seed, beyond both.
    """

    value: float
    low: float
    high: float
    freedom: float
    seeds: float
    rows: float
    rest: float


def components(table: Float64[np.ndarray, "seeds rows"], *, level: float) -> Components:
    """Tell variance over seeds from variance over rows.

    Random effects of seeds and rows, crossed: value = mean + seed + row + rest, by the method of moments (Searle,
    Casella and McCulloch, "Variance components", 1992, chapter 4), variances below 0 set to 0. The interval is
    Student's with the degrees of freedom of Satterthwaite, "An approximate distribution of estimates of variance
    components", Biometrics Bulletin 2 (1946). Why seeds must count: Bouthillier et al., "Accounting for variance in
    machine learning benchmarks", MLSys (2021).

    Args:
        table: a figure for each seed and row: right or wrong, a loss, or the difference of two systems.
        level: confidence level, 0 to 1.

    Raises:
        DataError: fewer than two seeds or rows, between which there is no variance.
        ConfigError: a level that is none.
    """
    share(level, "level")
    seeds, rows = table.shape
    if seeds < 2 or rows < 2:
        raise DataError(f"{seeds} seeds and {rows} rows have no variance between them", todo="Give two of each or more")
    by_seed, by_row, value = table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True), table.mean()
    # Mean squares, each of so many degrees of freedom.
    free = np.array([seeds - 1, rows - 1, (seeds - 1) * (rows - 1)], dtype=np.float64)
    squares = np.array(
        [
            rows * ((by_seed - value) ** 2).sum(),
            seeds * ((by_row - value) ** 2).sum(),
            ((table - by_seed - by_row + value) ** 2).sum(),
        ]
    )
    of_seeds, of_rows, rest = squares / free
    of_seeds, of_rows = max(of_seeds, rest), max(of_rows, rest)
    spread = of_seeds + of_rows - rest  # the variance of the mean, times seeds and rows
    freedom = spread**2 / (np.array([of_seeds, of_rows, rest]) ** 2 / free).sum() if spread else np.inf
    half = stats.t.isf((1 - level) / 2, freedom) * np.sqrt(spread / (seeds * rows))
    found = (value, value - half, value + half, freedom, (of_seeds - rest) / rows, (of_rows - rest) / seeds, rest)
    return Components(*(float(each) for each in found))
