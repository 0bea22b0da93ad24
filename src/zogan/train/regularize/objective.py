"""What a step minimises: the task's loss, with smoothed targets, or over two passes."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from zogan.config import RegularizeConfig
from zogan.tasks.task import Batch, Task
from zogan.train.regularize.r_drop import r_drop


@dataclass(frozen=True)
class Objective:
    """The training loss. Figures on validation rows are the task's own, whatever is asked here."""

    task: Task
    settings: RegularizeConfig = field(default_factory=RegularizeConfig)

    def rows(self, rows: list[int]) -> list[int]:
        """The rows of a batch as they go through the model: for two passes all of them, and then all again."""
        return rows * self.settings.passes

    def __call__(self, model: nn.Module, batch: Batch) -> tuple[Tensor, int]:
        """Sum of the losses over the batch's targets, and their number.

        Args:
            model: the task's.
            batch: of `rows`.
        """
        smoothing = self.settings.label_smoothing
        if not self.settings.r_drop:
            return self.task.loss(model, batch, smoothing)
        logits, targets = self.task.logits(model, batch)
        return r_drop(logits, targets, self.settings.r_drop, smoothing), len(targets)
