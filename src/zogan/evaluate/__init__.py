"""Before and after, or two runs, on the same rows: metrics, intervals, examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zogan.progress import Progress, Silent

if TYPE_CHECKING:
    from torch import nn

    from zogan.config import Config
    from zogan.evaluate.comparison.result import Comparison
    from zogan.evaluate.evaluation import Evaluation
    from zogan.patch import Patch
    from zogan.tasks.job import Job

__all__ = ["compare_runs", "evaluate"]


def evaluate(
    job: Config | Job,
    patch: Patch | None = None,
    *,
    before: Patch | None = None,
    split: Literal["train", "validation", "test"] = "test",
    adapt: Callable[[nn.Module, Patch], nn.Module] | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """The model before and after, on the same rows. See `zogan.evaluate.run.evaluate`."""
    from zogan.evaluate.run import evaluate as run

    return run(job, patch, before=before, split=split, adapt=adapt, cache=cache, progress=progress)


def compare_runs(
    a: Path | str,
    b: Path | str,
    *,
    config: Config | Path | str | Mapping[str, Any] | None = None,
    progress: Progress = Silent(),
    looked: Callable[[str, str], None] | None = None,
) -> Comparison:
    """Two runs, patches or models on the same test rows: figures, paired intervals and tests, and the rows that differ.

    Of a run, what it kept of its test rows is used, and nothing is predicted again.

    Args:
        a: folder of a run, file of a patch, or a model: its folder, .gguf file or `package:NAME`.
        b: the other.
        config: what patches and models are evaluated with, and whose slices are looked at: a configuration, the path of
            a zogan.yaml, or a mapping of its keys. Not needed for two runs, which have their own.
        progress: told of rows predicted.
        looked: called when a patch or a model was measured on the test rows, before its figures are given: with the
            digest of the one and of the others, SHA-256 in hex.

    Returns:
        All of it; `differences` holds every row that differs, the clearest first.

    Raises:
        ConfigError: a patch or a model, and no configuration to evaluate it with.
        DataError: the two have other test rows; says how many each has alone.
        RunError: a run without predictions.
        ZoganError: other tasks or labels; there is no such run, patch or model.
    """
    from zogan.config import as_config
    from zogan.evaluate.comparison.run import compare_runs as run

    settings = None if config is None else as_config(config)
    return run(str(a), str(b), config=settings, progress=progress, looked=looked)
