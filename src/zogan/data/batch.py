"""Which rows go through the model together: those of like length, so that little padding is computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from zogan.config import EvaluateConfig, TrainConfig
from zogan.data.balance import drawn

_BATCHES_IN_A_CHUNK = 50
"""Rows are sorted within chunks of so many batches: long enough for like lengths, short enough for chance."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The size of a batch as a budget: rows times the longest row is at most this, padding counted.

    A row that is longer goes alone.

    Args:
        budget: tokens.
        packed: rows stand behind one another, so that there is no padding, and their lengths add up instead.
    """

    budget: int
    packed: bool = False


BatchSize = int | Tokens
"""Rows in a batch, or the tokens that they may come to."""


def batch_size(settings: TrainConfig | EvaluateConfig) -> BatchSize:
    """What a section of the configuration asks for: its `tokens_per_batch` where given, else its `batch_size`."""
    if settings.tokens_per_batch is None:
        return settings.batch_size
    return Tokens(settings.tokens_per_batch, packed=isinstance(settings, TrainConfig) and settings.packing)


def bucketed(
    lengths: Sequence[int], size: BatchSize, *, seed: int, epoch: int, classes: Sequence[int] | None = None
) -> list[list[int]]:
    """Batches for training: like lengths together, otherwise in random order.

    The rows are shuffled and, unless they are packed, sorted by length within chunks of them; the batches are then
    shuffled.

    Args:
        lengths: tokens of each row.
        size: of a batch.
        seed: of the order.
        epoch: each has its own order, whatever ran before it.
        classes: of each row, where they are to be even in each epoch; see `balance.drawn`.

    Returns:
        Lists of row indices; every index stands in exactly one, unless classes are made even.
    """
    _check(size)
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths) if classes is None else drawn(classes, seed=seed, epoch=epoch)).tolist()
    batches: list[list[int]] = []
    for chunk in _chunks(order, lengths, size):
        if isinstance(size, int) or not size.packed:
            chunk = sorted(chunk, key=lambda index: lengths[index])
        batches += _cut(chunk, lengths, size)
    return [batches[index] for index in generator.permutation(len(batches))]


def batch_counts(
    lengths: Sequence[int], size: BatchSize, *, seed: int, epochs: int, classes: Sequence[int] | None = None
) -> list[int]:
    """Batches of `bucketed` in each epoch.

    With a budget of tokens they are not the same number in each: rows meet others.
    """
    if isinstance(size, int):
        _check(size)
        return [-(-len(lengths) // size)] * epochs
    return [len(bucketed(lengths, size, seed=seed, epoch=epoch, classes=classes)) for epoch in range(epochs)]


def ordered(lengths: Sequence[int], size: BatchSize) -> list[list[int]]:
    """Batches for evaluation: longest first, so that what does not fit in memory shows at once.

    Args:
        lengths: tokens of each row.
        size: of a batch.

    Returns:
        Lists of row indices; every index stands in exactly one.
    """
    _check(size)
    return list(_cut(sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)), lengths, size))


def _chunks(rows: list[int], lengths: Sequence[int], size: BatchSize) -> Iterator[list[int]]:
    """Pieces of the order that hold about `_BATCHES_IN_A_CHUNK` batches each."""
    if isinstance(size, int):
        yield from _slices(rows, size * _BATCHES_IN_A_CHUNK)
        return
    through = np.cumsum([lengths[row] for row in rows]) // (size.budget * _BATCHES_IN_A_CHUNK)
    for part in np.split(np.array(rows, dtype=np.int64), np.flatnonzero(np.diff(through)) + 1):
        yield part.tolist()


def _cut(rows: list[int], lengths: Sequence[int], size: BatchSize) -> Iterable[list[int]]:
    """The rows, in their order, as full batches and a last one that may not be."""
    return _slices(rows, size) if isinstance(size, int) else _within(rows, lengths, size)


def _slices(rows: list[int], count: int) -> list[list[int]]:
    return [rows[start : start + count] for start in range(0, len(rows), count)]


def _within(rows: list[int], lengths: Sequence[int], size: Tokens) -> Iterator[list[int]]:
    batch: list[int] = []
    total = longest = 0
    for row in rows:
        total, longest = total + lengths[row], max(longest, lengths[row])
        if batch and (total if size.packed else (len(batch) + 1) * longest) > size.budget:
            yield batch
            batch, total, longest = [], lengths[row], lengths[row]
        batch.append(row)
    if batch:
        yield batch


def _check(size: BatchSize) -> None:
    name, value = ("batch_size", size) if isinstance(size, int) else ("tokens_per_batch", size.budget)
    if value < 1:
        raise ValueError(f"{name} = {value}: must be at least 1")
