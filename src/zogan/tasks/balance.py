"""What `train.balance` makes of a job's classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from zogan.data.balance import row_weights, shares
from zogan.tasks.job import Job
from zogan.tasks.task import Batch


def weights_of(job: Job) -> Float[Tensor, " rows"] | None:
    """What the loss of each training row weighs, 1 in the mean; None where all weigh the same."""
    if job.config.train.balance != "weights":
        return None
    return torch.from_numpy(row_weights(_classes(job))).float()


def drawn_by(job: Job) -> list[int] | None:
    """Class of each training row, where an epoch is to hold the classes evenly; None where rows come as they are."""
    return _classes(job) if job.config.train.balance == "batches" else None


def weighed(batch: Batch, weights: Float[Tensor, " all"] | None, rows: Sequence[int]) -> Batch:
    """The batch, with the weights of its rows, (rows,), where there are any."""
    return batch if weights is None else {**batch, "weights": weights[list(rows)]}


def told(job: Job) -> str | None:
    """What balancing does to the rarest class and to the most frequent; None where nothing is balanced."""
    balance = job.config.train.balance
    if balance == "none":
        return None
    classes = _classes(job)
    counts = Counter(classes)
    order = sorted(counts, key=lambda label: (counts[label], label))
    if balance == "weights":
        each = {label: len(classes) / (len(counts) * counts[label]) for label in order}
        what = [f"a row of {_name(job, label)} ({counts[label]:,} rows) weighs {each[label]:.3g}" for label in order]
    else:
        share = shares(classes, seed=job.config.train.seed)
        what = [_times(_name(job, label), counts[label], share[label]) for label in order]
    ends = what[:1] + what[-1:] if len(order) > 1 else what
    return f"classes are made even by {balance}: {'; '.join(ends)}"


def _times(name: str, rows: int, share: int) -> str:
    """How often a class's rows come in an epoch."""
    if share <= rows:
        return f"of the {rows:,} rows of {name} {share:,} come in an epoch"
    least, most = share // rows, -(-share // rows)
    often = f"{least}" if least == most else f"{least} or {most}"
    return f"each of the {rows:,} rows of {name} comes {often} times in an epoch"


def _name(job: Job, label: int) -> str:
    return repr(job.task.describe()["labels"][label])


def _classes(job: Job) -> list[int]:
    return [example.labels[0] for example in job.examples("train")]
