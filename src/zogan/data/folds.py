"""Cut rows into folds, each class in proportion, no input in two of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zogan.data.rows import Row
from zogan.data.split import strata_of
from zogan.errors import DataError


def folds(rows: Sequence[Row], number: int, *, seed: int, where: str) -> list[tuple[int, ...]]:
    """Parts of the rows to hold out one after the other, by class where rows have one.

    Rows with the same `key` stay together. A class with one input alone stands in no fold: held out, nothing would be
    left to learn it from. The same rows and seed give the same folds in any process.

    Args:
        rows: in the order of the file.
        number: of folds, 2 or more.
        seed: of the choice.
        where: the option that asks for it, for messages.

    Returns:
        Of each fold its rows as indices, in order; no index stands in two.

    Raises:
        DataError: there are fewer different inputs than folds.
    """
    strata = strata_of(rows)
    generator = np.random.default_rng(seed)
    dealt: list[list[int]] = []
    for name in sorted(strata):
        order = generator.permutation(len(strata[name])).tolist()
        dealt += [strata[name][place] for place in order] if len(order) > 1 else []
    if len(dealt) < number:
        what = f"{len(dealt)} different inputs, of classes with two or more, cannot be cut into {number} folds"
        raise DataError(what, where=where, todo="Ask for fewer folds, or add rows")
    return [tuple(sorted(row for members in dealt[place::number] for row in members)) for place in range(number)]
