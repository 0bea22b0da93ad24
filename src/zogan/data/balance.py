"""Classes of unlike size made even: by the weight of a row's loss, or by how often a row is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64


def row_weights(classes: Sequence[int]) -> Float64[np.ndarray, " rows"]:
    """Weights inverse to the frequency of each row's class: n / (k · n_c), for n rows, k classes and n_c in this one.

    Their mean over the rows is 1, and each class weighs as much as any other. It is the weighting of King and Zeng,
    *Logistic Regression in Rare Events Data* (2001), for classes that are meant to be even; scikit-learn's "balanced".

    Args:
        classes: class of each row; those that no row has do not count.
    """
    if not classes:
        return np.zeros(0)
    _, which, counts = np.unique(np.asarray(classes), return_inverse=True, return_counts=True)
    return np.asarray(len(classes) / (len(counts) * counts[which]), dtype=np.float64)


def drawn(classes: Sequence[int], *, seed: int, epoch: int) -> list[int]:
    """Rows of one epoch, as many as there are, of which each class has the same number; one more where it must be.

    A class is gone through in an order of its own, over and over, from where the epoch before left off: over the
    epochs each of its rows comes as often as any other, to within one.

    Args:
        classes: class of each row.
        seed: of the orders, and of which classes have one row more.
        epoch: which of the epochs, whatever ran before it.

    Returns:
        Indices of rows, by class; rows of a rare class stand there several times.
    """
    generator = np.random.default_rng(seed)
    found: list[int] = []
    for label, share in shares(classes, seed=seed).items():
        rows = generator.permutation(np.flatnonzero(np.asarray(classes) == label))
        places = (epoch * share + np.arange(share)) % len(rows)
        found += rows[places].tolist()
    return found


def shares(classes: Sequence[int], *, seed: int) -> dict[int, int]:
    """Rows of each class in one epoch of `drawn`; which classes have one more is drawn from the seed."""
    labels = sorted(set(classes))
    if not labels:
        return {}
    each, more = divmod(len(classes), len(labels))
    lucky = set(np.random.default_rng([seed, len(labels)]).permutation(len(labels))[:more].tolist())
    return {label: each + (place in lucky) for place, label in enumerate(labels)}
