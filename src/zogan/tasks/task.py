"""What a task is: all that differs between classification and generation, behind one small face."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from zogan.config import EvaluateConfig
from zogan.data.batch import BatchSize
from zogan.data.rows import Row
from zogan.progress import Progress

IGNORED = -100
"""Label of a token that the loss does not look at, as in transformers."""

Enter = Callable[[list[int]], AbstractContextManager[None]]
"""Rows of a batch, by their places among the examples, to the context in which the model runs on them."""


def enter_nothing(_: list[int]) -> AbstractContextManager[None]:
    """The model runs as it is."""
    return nullcontext()


Batch = dict[str, Tensor]
"""input_ids and attention_mask int64 (rows, time), labels int64 (rows,) or (rows, time); padded on the right.

Or packed: input_ids, position_ids and labels int64 (1, time), where a row begins at each position 0.
"""


@dataclass(frozen=True, slots=True)
class Example:
    """A row as the model reads it.

    Args:
        ids: the tokens, with the special ones.
        labels: classification: one, the label's index; generation: one a token, `IGNORED` where there is no loss.
        cut: tokens lost to the length limit.
        row: where the row stands among those that were encoded.
    """

    ids: tuple[int, ...]
    labels: tuple[int, ...]
    cut: int
    row: int


@dataclass(frozen=True, slots=True)
class Monitor:
    """How the model stands on the validation rows.

    Args:
        loss: mean over targets, nats.
        score: compared as a tuple, lower is better.
        error: standard error of the score's first figure, from its spread over the rows; None where it is not known.
    """

    loss: float
    score: tuple[float, ...]
    error: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ClassPredictions:
    """What a classifier says of each row.

    Args:
        labels: names of the labels, by index.
        truth: index of the right label.
        probabilities: of each label.
        losses: cross-entropy of each row, nats.
    """

    labels: tuple[str, ...]
    truth: Int64[np.ndarray, " rows"]
    probabilities: Float64[np.ndarray, "rows labels"]
    losses: Float64[np.ndarray, " rows"]

    @property
    def choice(self) -> Int64[np.ndarray, " rows"]:
        """Index of the likeliest label of each row."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class TextPredictions:
    """What a language model says of each row.

    Args:
        losses: sum over the row's labelled tokens, nats.
        tokens: number of them.
        answers: greedy answers to the first rows, as many as were asked for.
        references: what was to be answered there.
    """

    losses: Float64[np.ndarray, " rows"]
    tokens: Int64[np.ndarray, " rows"]
    answers: tuple[str, ...]
    references: tuple[str, ...]


Predictions = ClassPredictions | TextPredictions


@runtime_checkable
class Task(Protocol):
    """Classification or generation, bound to one base and one set of labels or prompt format."""

    name: str

    def model(self, *, seed: int, dtype: torch.dtype | None = None, empty: bool = False) -> nn.Module:
        """The base in memory, with a new head where the task needs one.

        Args:
            seed: of the new head; the global generator is left as it was.
            dtype: of the base's weights; None is as stored.
            empty: the base's weights are left on the meta device.
        """

    def head(self, model: nn.Module) -> tuple[str, ...]:
        """Names of the parameters that are not in the base and are trained whole."""

    def tensor_names(self, model: nn.Module) -> Mapping[str, str]:
        """Parameter name in `model` -> tensor name in the base's folder."""

    def encode(self, rows: Sequence[Row]) -> list[Example]:
        """Rows as tokens, cut to the length limit; how many were cut is told once."""

    def collate(self, examples: Sequence[Example]) -> Batch:
        """One padded batch."""

    def loss(self, model: nn.Module, batch: Batch, smoothing: float = 0.0) -> tuple[Tensor, int]:
        """Sum of the losses over the batch's targets (fp32, with gradient), and their number.

        `smoothing` is the share of each target that is spread over all classes or tokens, 0 to 1.
        """

    def logits(
        self, model: nn.Module, batch: Batch
    ) -> tuple[Float[Tensor, "targets classes"], Int64[Tensor, " targets"]]:
        """Logits (fp32, with gradient) of each of the batch's targets, in the order of its rows, and the targets."""

    def monitor(
        self, model: nn.Module, examples: Sequence[Example], size: BatchSize, enter: Enter = enter_nothing
    ) -> Monitor:
        """Loss and score without gradient; the model's mode is as before afterwards.

        Args:
            model: the task's.
            examples: the validation rows.
            size: of one batch.
            enter: gives for a batch's rows the context in which the model runs on them.
        """

    def predict(
        self,
        model: nn.Module,
        rows: Sequence[Row],
        settings: EvaluateConfig,
        progress: Progress | None = None,
        enter: Enter = enter_nothing,
    ) -> Predictions:
        """What the model says of the rows, in their order.

        Args:
            model: the task's.
            rows: whose target is known.
            settings: batches, and how many answers.
            progress: told of rows predicted.
            enter: gives for a batch's rows the context in which the model runs on them; no answer is given there.
        """

    def describe(self) -> dict[str, Any]:
        """What a patch must record so that its result can be used, as JSON values."""
