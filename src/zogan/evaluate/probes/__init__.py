"""Probes: what is looked for in a tuned model beside its figures, one file each, found by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zogan.progress import Progress

if TYPE_CHECKING:
    from torch import nn

    from zogan.config import Config
    from zogan.evaluate.probes.reading import Probes
    from zogan.patch import Patch
    from zogan.tasks.job import Job

__all__ = ["probe"]


def probe(
    job: Config | Job,
    patch: Patch,
    *,
    before: Patch | None = None,
    production: Patch | None = None,
    only: Sequence[str] | None = None,
    adapt: Callable[[nn.Module, Patch], nn.Module] | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Probes:
    """Look for harm in a patch. See `zogan.evaluate.probes.run.probe`."""
    from zogan.evaluate.probes.run import probe as run

    return run(job, patch, before=before, production=production, only=only, adapt=adapt, cache=cache, progress=progress)
