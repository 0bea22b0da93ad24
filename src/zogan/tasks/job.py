"""A configuration made real: its base, its rows and its task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch

from zogan.config import Config
from zogan.data.load import load
from zogan.data.prepare import Splits, digest
from zogan.data.rows import Row
from zogan.errors import ConfigError, DataError
from zogan.models import Base, open_base
from zogan.models.cache import default_cache
from zogan.models.folder import stored_dtype
from zogan.progress import Progress, Silent
from zogan.tasks.classification import Classification
from zogan.tasks.generation import Generation
from zogan.tasks.limits import row_limit
from zogan.tasks.task import Example, Task
from zogan.weights import headers

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True, eq=False)
class Part:
    """Where the rows of a job stand among the training rows of a whole: what was computed of those serves both.

    Attributes:
        whole: the job whose training rows they are.
        rows: of each split, their places there.
    """

    whole: Job
    rows: Mapping[Split, tuple[int, ...]]


@dataclass(frozen=True)
class Job:
    """What the stages after `data` work on.

    Attributes:
        config: the whole configuration.
        base: what is tuned.
        splits: the rows.
        task: what a row is, and what is learnt.
        cache: folder for what another run can use again.
        part: of which other job's rows these are some; None where they are all there is.
    """

    config: Config
    base: Base
    splits: Splits
    task: Task
    cache: Path = field(default_factory=default_cache, compare=False)
    part: Part | None = field(default=None, compare=False)
    _encoded: dict[str, list[Example]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def activations(self) -> torch.dtype | None:
        """Dtype that autocast gives activations; None where they have that of the weights."""
        return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.config.train.precision)

    @property
    def new_head(self) -> bool:
        """Whether a head trains that the base does not bring: the base alone predicts nothing."""
        return isinstance(self.task, Classification) and not self.task.keeps_head

    @property
    def dtype(self) -> torch.dtype | None:
        """Of the weights in memory: None, as stored, where activations have that dtype too; otherwise fp32.

        Autocast mixes fp32 with either half precision, but not one of these with the other. Whole matrices train in
        fp32 always: AdamW's small steps are nothing in half precision.
        """
        stored = stored_dtype(headers(self.base.folder), self.base.folder)
        return None if stored == self.activations and self.config.method != "full" else torch.float32

    def under(self, config: Config) -> Job:
        """The same base, rows and task under other options, none of which changes how a row is read."""
        job = Job(config, self.base, self.splits, self.task, self.cache, self.part)
        job._encoded.update(self._encoded)
        return job

    def holding_out(self, rows: Sequence[int]) -> Job:
        """The same job with some of its training rows, by their places, for validation instead."""
        held_out = set(rows)
        places: dict[Split, tuple[int, ...]] = {
            "train": tuple(row for row in range(len(self.splits.train)) if row not in held_out),
            "validation": tuple(sorted(held_out)),
        }
        cut = {split: tuple(self.splits.train[row] for row in kept) for split, kept in places.items()}
        splits = replace(
            self.splits,
            train=cut["train"],
            validation=cut["validation"],
            digest=digest({"train": cut["train"], "validation": cut["validation"], "test": self.splits.test}),
        )
        job = Job(self.config, self.base, splits, self.task, self.cache, Part(self, places))
        every = self.examples("train")
        for split, kept in places.items():
            job._encoded[split] = [replace(every[row], row=place) for place, row in enumerate(kept)]
        return job

    def measured_on(self, rows: Sequence[Row]) -> Job:
        """The same job with other rows in place of the test rows."""
        parts = {"train": self.splits.train, "validation": self.splits.validation, "test": tuple(rows)}
        splits = replace(self.splits, test=tuple(rows), digest=digest(parts))
        return Job(self.config, self.base, splits, self.task, self.cache)

    def examples(self, split: Split) -> list[Example]:
        """The rows of a split as tokens; encoded once."""
        if split not in self._encoded:
            rows = getattr(self.splits, split)
            if not rows:
                raise DataError("no rows are left", where=split, todo="See `zogan data check`")
            self._encoded[split] = self.task.encode(rows)
        return self._encoded[split]

    def cuts(self) -> dict[str, int]:
        """Rows of each split that was encoded which were longer than the limit."""
        return {split: sum(example.cut > 0 for example in found) for split, found in self._encoded.items()}


def open_job(config: Config, *, cache: Path | None = None, progress: Progress | None = None) -> Job:
    """Open the base, read the rows, and bind the task to them.

    Args:
        config: the whole configuration.
        cache: folder for converted bases and fingerprints; the user's own where absent.
        progress: told of what the user should know.

    Raises:
        ConfigError: a head is to be warmed up, and the base keeps its own.
    """
    progress = progress or Silent()
    cache = cache or default_cache()
    base = open_base(config.model, cache=cache, progress=progress)
    splits = load(config)
    limit = row_limit(base, config.train.max_length)
    task: Task
    if config.task == "classification":
        task = Classification(base, splits.labels, max_length=limit, progress=progress)
        if task.keeps_head and config.train.head_warmup:
            raise ConfigError(
                "the base keeps its own head, so there is no new one to warm up",
                where="train.head_warmup",
                todo="Leave it out",
            )
    else:
        task = Generation(base, max_length=limit, progress=progress)
    whole = config.for_data(labels=len(splits.labels), rows=len(splits.train), dropout=base.dropout)
    if config.regularize.r_drop is None and whole.regularize.r_drop:
        progress.note(
            f"{len(splits.train)} training rows are few: each passes twice in a step (R-Drop; regularize.r_drop=0 "
            "leaves that out)"
        )
    return Job(whole, base, splits, task, cache)
