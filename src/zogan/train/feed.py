"""Where the loop's batches come from: rows through the whole model, or frozen features for a head alone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zogan.data.batch import BatchSize
from zogan.tasks.balance import weighed, weights_of
from zogan.tasks.classification import Classification
from zogan.tasks.generation import Generation
from zogan.tasks.inference import to_device
from zogan.tasks.job import Job
from zogan.tasks.spread import of_share
from zogan.tasks.task import IGNORED, Batch, Enter, Example, Monitor, enter_nothing
from zogan.train.regularize import Objective


def targets(batch: Batch) -> int:
    """Number of targets in a batch: rows, or labelled tokens that have one before them."""
    labels = batch["labels"]
    return int((labels[:, 1:] != IGNORED).sum()) if labels.dim() == 2 else len(labels)


class Rows:
    """Training rows in, figures on the validation rows out.

    Args:
        job: base, rows and task.
        size: of a validation batch.
        objective: what is minimised; the task's own loss where absent.
    """

    def __init__(self, job: Job, size: BatchSize, objective: Objective | None = None) -> None:
        self.task, self.size = job.task, size
        self.objective = objective or Objective(job.task)
        self.examples = job.examples("train")
        self.held_out = job.examples("validation") if job.config.train.folds is None else []
        self.lengths = [len(example.ids) for example in self.examples]
        self.packs = job.config.train.packing and isinstance(job.task, Generation)
        self.by_tokens = job.config.train.tokens_per_batch is not None
        self.weights = weights_of(job)

    def batch(self, rows: list[int]) -> Batch:
        """The rows, collated; with what each weighs, (rows,), where that is not the same."""
        rows = self.objective.rows(rows)
        examples = [self.examples[row] for row in rows]
        if self.packs and isinstance(self.task, Generation):
            return self.task.pack(examples)
        return weighed(self.task.collate(examples), self.weights, rows)

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, int]:
        """Sum of losses, and number of targets."""
        return self.objective(model, batch)

    def monitor(self, model: nn.Module) -> Monitor:
        """Figures on the validation rows."""
        return self.task.monitor(model, self.held_out, self.size)

    def enter_held_out(self, rows: list[int]) -> AbstractContextManager[None]:
        """The context in which a model runs on validation rows."""
        return enter_nothing(rows)


class Features:
    """What a new head reads of each row, computed once: the body is frozen, and runs no more.

    Args:
        task: with a new head.
        model: its model.
        rows: the feed that would run the body.
        enter: gives for training rows the context in which the model runs on them.
        enter_held_out: the same for validation rows.
    """

    def __init__(
        self,
        task: Classification,
        model: nn.Module,
        rows: Rows,
        enter: Enter = enter_nothing,
        enter_held_out: Enter = enter_nothing,
    ) -> None:
        self.task, self.objective, self.weights = task, rows.objective, rows.weights
        self.features, self.labels = _of(task, model, rows.examples, rows.size, enter)
        held_out = _of(task, model, rows.held_out, rows.size, enter_held_out)
        self.held_out = dict(zip(("features", "labels"), held_out, strict=True))
        # Tokens cut the batches as they would cut those of the rows; otherwise one row is like another.
        self.lengths = list(rows.lengths) if rows.by_tokens else [1] * len(self.labels)

    def batch(self, rows: list[int]) -> Batch:
        """Features (rows, dim) and labels (rows,); with what each row weighs, where that is not the same."""
        rows = self.objective.rows(rows)
        return weighed({"features": self.features[rows], "labels": self.labels[rows]}, self.weights, rows)

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, int]:
        """Sum of losses, and number of rows."""
        return self.objective(model, batch)

    def monitor(self, model: nn.Module) -> Monitor:
        """Figures on the validation rows: the share that is wrong, then the loss."""
        with torch.no_grad():
            # The features stay where the body ran; the loop may have moved the head since.
            held_out = to_device(self.held_out, next(model.parameters()).device)
            logits, labels = model(features=held_out["features"]).logits.float(), held_out["labels"]
            loss = float(nn.functional.cross_entropy(logits, labels))
        wrong = logits.argmax(dim=1) != labels
        return Monitor(loss, (float(wrong.float().mean()), loss), of_share(int(wrong.sum()), len(wrong)))


def _of(
    task: Classification, model: nn.Module, examples: Sequence[Example], size: BatchSize, enter: Enter
) -> tuple[Float[Tensor, "rows dim"], Tensor]:
    features = task.features(model, examples, size, enter)
    return features, torch.tensor([example.labels[0] for example in examples], device=features.device)
