"""Cut rows in two, each class in proportion, no input on both sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from zogan.data.rows import Row, TextRow


def stratified(rows: Sequence[Row], share: float, seed: int) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Cut a share of the rows off, by class where rows have one.

    Rows with the same `key` stay together. A class never goes whole: its last group of rows stays. Both
    sides keep the order of `rows`; the same rows and seed give the same cut in any process.

    Args:
        rows: in the order of the file.
        share: of the rows to cut, between 0 and 1.
        seed: of the choice.

    Returns:
        The rest, and the cut. The cut is empty only where no class has two different inputs.
    """
    strata = strata_of(rows)
    generator = np.random.default_rng(seed)
    shuffled = {
        name: [strata[name][index] for index in generator.permutation(len(strata[name]))] for name in sorted(strata)
    }
    quotas = _quotas({name: sum(map(len, stratum)) for name, stratum in shuffled.items()}, share, generator)
    chosen: set[int] = set()
    for name, stratum in shuffled.items():
        left = quotas[name]
        for members in stratum[1:]:
            if len(members) <= left:
                chosen.update(members)
                left -= len(members)
    rest = tuple(row for index, row in enumerate(rows) if index not in chosen)
    return rest, tuple(rows[index] for index in sorted(chosen))


def strata_of(rows: Sequence[Row]) -> dict[str, list[list[int]]]:
    """Indices of rows with the same `key`, together, by class where rows have one."""
    groups: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(row.key, []).append(index)
    strata: dict[str, list[list[int]]] = {}
    for members in groups.values():
        first = rows[members[0]]
        strata.setdefault(first.label if isinstance(first, TextRow) else "", []).append(members)
    return strata


def _quotas(sizes: Mapping[str, int], share: float, generator: np.random.Generator) -> dict[str, int]:
    """Rows to cut from each class: shares rounded so that they add up, by largest remainder, ties by lot."""
    exact = {name: size * share for name, size in sizes.items()}
    quotas = {name: int(value) for name, value in exact.items()}
    wanted = max(1, round(sum(exact.values())))
    lots = dict(zip(sizes, generator.permutation(len(sizes)), strict=True))
    # Rounded, so that classes of one size do not differ by a float's last bit.
    order = sorted(sizes, key=lambda name: (-round(exact[name] - quotas[name], 9), int(lots[name])))
    for name in [name for name in order if sizes[name] > 1][: max(0, wanted - sum(quotas.values()))]:
        quotas[name] += 1
    return quotas
