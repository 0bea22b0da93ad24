"""What training did besides the loss: whether answers are like the right ones, and what was forgotten."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import nn

from zogan.data.batch import batch_size
from zogan.data.read import read
from zogan.data.rows import Row
from zogan.evaluate.metrics import metrics
from zogan.patch import Patch
from zogan.tasks.job import Job
from zogan.train.methods import load_adapters

Tune = Callable[[nn.Module], nn.Module]
"""The base as it came, which it may change, to the tuned model."""


@dataclass(frozen=True)
class Asked:
    """The key `after` of a cell.

    Args:
        answers: held-out rows that are answered, the first ones.
        unrelated: file with dialogues that have nothing to do with the task.
    """

    answers: int
    unrelated: Path


@dataclass(frozen=True)
class After:
    """What was found.

    Attributes:
        chrf: mean over the answered rows of sentence chrF2, 0 to 100.
        unrelated_before: mean loss on the unrelated text, nats a token, of the base.
        unrelated: the same of the tuned model.
    """

    chrf: float
    unrelated_before: float
    unrelated: float


def after(job: Job, tune: Tune, asked: Asked) -> dict[str, float]:
    """Measure the base and the tuned model.

    Args:
        job: of generation; its test rows are those that are answered.
        tune: gives the tuned model.
        asked: what to measure.

    Returns:
        The fields of `After`.
    """
    unrelated = read(asked.unrelated, job.config.data, "generation").rows
    model = job.task.model(seed=job.config.train.seed, dtype=job.dtype)
    before = loss(job, model, unrelated)
    model = tune(model)
    return asdict(After(chrf(job, model, asked.answers), before, loss(job, model, unrelated)))


def patched(job: Job, patch: Patch) -> Tune:
    """The base with a patch of the job's."""

    def tune(base: nn.Module) -> nn.Module:
        patch.apply(base, job.task.tensor_names(base))
        return load_adapters(base, patch)

    return tune


def loss(job: Job, model: nn.Module, rows: Sequence[Row]) -> float:
    return job.task.monitor(model, job.task.encode(rows), batch_size(job.config.evaluate)).loss


def chrf(job: Job, model: nn.Module, answers: int) -> float:
    settings = job.config.evaluate.model_copy(update={"answers": answers})
    predictions = job.task.predict(model, job.splits.test[:answers], settings)
    metric = metrics("generation")["chrf"]
    return float(metric.figure(metric.rows(predictions).sum(axis=0, keepdims=True))[0])
