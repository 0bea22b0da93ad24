"""Before money is spent: whether tuning is worth it on this base, data and protocol, without tuning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zogan.progress import Progress, Silent

if TYPE_CHECKING:
    from zogan.config import Config
    from zogan.evaluate.applicability.result import Applicability
    from zogan.tasks.job import Job

__all__ = ["check"]


def check(config: Config | Job | Path | str | Mapping[str, Any], *, progress: Progress = Silent()) -> Applicability:
    """Say whether tuning is worth it, in minutes and without tuning. No test row is read.

    Args:
        config: a configuration, the path of a zogan.yaml, a mapping of its keys, or a job that is open already.
        progress: who is told how far it is.

    Returns:
        The answer (`suited`, `adapters_or_full`, `not_enough_data` or `not_needed`) with its reason, the figures that
        it stands on, and the training rows whose label may be wrong.

    Raises:
        ConfigError: the whole model does not fit into the memory.
        ZoganError: configuration, data or base are not as they must be, or a loss is not finite.
    """
    from zogan.config import as_config
    from zogan.evaluate.applicability.run import check as run
    from zogan.tasks.job import Job

    return run(config if isinstance(config, Job) else as_config(config), progress=progress)
