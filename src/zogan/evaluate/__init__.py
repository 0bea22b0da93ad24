"""Before and after on the same rows: metrics, intervals, examples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from zogan.progress import Progress

if TYPE_CHECKING:
    from torch import nn

    from zogan.config import Config
    from zogan.evaluate.evaluation import Evaluation
    from zogan.evaluate.predictions import Predicted
    from zogan.patch import Patch
    from zogan.tasks.job import Job

__all__ = ["evaluate"]


def evaluate(
    job: Config | Job,
    patch: Patch | None = None,
    *,
    before: Patch | None = None,
    split: Literal["train", "validation", "test"] = "test",
    predicted: Predicted | None = None,
    adapt: Callable[[nn.Module, Patch], nn.Module] | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """The model before and after, on the same rows. See `zogan.evaluate.run.evaluate`."""
    from zogan.evaluate.run import evaluate as run

    return run(job, patch, before=before, split=split, predicted=predicted, adapt=adapt, cache=cache, progress=progress)
