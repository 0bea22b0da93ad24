"""Classification and generation: what a row is, the loss, the prediction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zogan.progress import Progress

if TYPE_CHECKING:
    from zogan.config import Config
    from zogan.tasks.job import Job

__all__ = ["open_job"]


def open_job(config: Config, *, cache: Path | None = None, progress: Progress | None = None) -> Job:
    """Open the base, read the rows, and bind the task to them. See `zogan.tasks.job.open_job`."""
    from zogan.tasks.job import open_job as open_it

    return open_it(config, cache=cache, progress=progress)
