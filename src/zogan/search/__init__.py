"""The search for good settings: the cheapest of those that are as good as the best on the validation rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zogan.progress import Progress, Silent

if TYPE_CHECKING:
    from zogan.config import Config
    from zogan.search.result import Found
    from zogan.tasks.job import Job


def search(config: Config | Job | Path | str | Mapping[str, Any], *, progress: Progress = Silent()) -> Found:
    """Try settings of the configured job, and find the cheapest that is as good as the best.

    What is tried, for how long and where it is kept stands in the `search:` section. A search that is called again goes
    on where it was, and several processes may call it at once. The test rows are not looked at.

    Args:
        config: a configuration, the path of a zogan.yaml, a mapping of its keys, or a job that is open already.
        progress: who is told how far it is.

    Returns:
        All trials, those that none beats in both quality and cost, and the pick. `search.json`, `search.svg` and
        `best.yaml`, the whole configuration with the picked settings, are written into the search's folder.

    Raises:
        ZoganError: configuration, data or base are not as they must be; there is nothing to search; no trial ended in
            time.
    """
    from zogan.config import as_config
    from zogan.search.run import search_job
    from zogan.tasks import open_job
    from zogan.tasks.job import Job

    job = config if isinstance(config, Job) else open_job(as_config(config), progress=progress)
    return search_job(job, progress=progress)
