"""Which rows go through the model together: those of like length, so that little padding is computed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_BATCHES_IN_A_CHUNK = 50
"""Rows are sorted within chunks of so many batches: long enough for like lengths, short enough for chance."""


def bucketed(lengths: Sequence[int], batch_size: int, *, seed: int, epoch: int) -> list[list[int]]:
    """Batches for training: like lengths together, otherwise in random order.

    The rows are shuffled and sorted by length within chunks of them; the batches are then shuffled.

    Args:
        lengths: tokens of each row.
        batch_size: rows in a batch.
        seed: of the order.
        epoch: each has its own order, whatever ran before it.

    Returns:
        Lists of row indices; every index stands in exactly one.
    """
    _check(batch_size)
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths)).tolist()
    chunk = batch_size * _BATCHES_IN_A_CHUNK
    batches: list[list[int]] = []
    for start in range(0, len(order), chunk):
        rows = sorted(order[start : start + chunk], key=lambda index: lengths[index])
        batches += _slices(rows, batch_size)
    return [batches[index] for index in generator.permutation(len(batches))]


def ordered(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Batches for evaluation: longest first, so that what does not fit in memory shows at once.

    Args:
        lengths: tokens of each row.
        batch_size: rows in a batch.

    Returns:
        Lists of row indices; every index stands in exactly one.
    """
    _check(batch_size)
    return _slices(sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)), batch_size)


def _slices(rows: list[int], batch_size: int) -> list[list[int]]:
    return [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]


def _check(batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(f"batch_size = {batch_size}: must be at least 1")
