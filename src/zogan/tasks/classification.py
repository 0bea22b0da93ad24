"""Classification: a text in, one of a few labels out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from zogan import models
from zogan.config import EvaluateConfig
from zogan.data.batch import BatchSize, batch_size
from zogan.data.rows import Row, TextRow
from zogan.errors import DataError, ModelError, nearest
from zogan.models import Base, Pooling
from zogan.models.device import onto_device
from zogan.progress import Progress, Silent
from zogan.tasks.classifier import FEATURE_SCALE, Classifier, new_head
from zogan.tasks.inference import batches, evaluating
from zogan.tasks.limits import Teller
from zogan.tasks.spread import of_share
from zogan.tasks.task import Batch, ClassPredictions, Enter, Example, Monitor, enter_nothing

_NOT_READ = ("labels", "weights")
"""Of a batch, what is the loss's and not the model's."""


class Classification:
    """A pooled body with a new head, or the base's own classifier where its labels are the data's.

    Args:
        base: what is tuned.
        labels: the data's; a base with a fitting head lends its own order.
        max_length: most tokens of a row, special ones among them; the end of what is longer is cut.
        progress: told how many rows were cut.
    """

    name = "classification"

    def __init__(self, base: Base, labels: Sequence[str], *, max_length: int, progress: Progress | None = None) -> None:
        self.base, self.max_length = base, max_length
        self.keeps_head = base.labels is not None and set(base.labels) == set(labels)
        self.labels = tuple(base.labels if self.keeps_head and base.labels else labels)
        self.pooling = base.pooling or Pooling(mode="last" if base.decoder else "mean", normalize=False)
        self.tokenizer = models.load_tokenizer(base)
        self.tokenizer.truncation_side = "right"
        self._index = {label: index for index, label in enumerate(self.labels)}
        self._teller = Teller(progress or Silent())

    def model(self, *, seed: int, dtype: torch.dtype | None = None, empty: bool = False) -> nn.Module:
        """See `Task`. A new head is fp32 whatever the base's dtype."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # for what a folder may lack, such as an unused pooler
            if self.keeps_head:
                whole = models.load_classifier(self.base, dtype=dtype, empty=empty)
                if whole.config.pad_token_id is None:
                    whole.config.pad_token_id = self.tokenizer.pad_token_id
                return whole if empty else onto_device(whole)
            body = models.load_body(self.base, dtype=dtype, empty=empty)
        head = new_head(body.config.get_text_config().hidden_size, len(self.labels), seed=seed)
        model = Classifier(body, head, self.pooling).train(body.training)
        return model if empty else onto_device(model)

    def head(self, model: nn.Module) -> tuple[str, ...]:
        """See `Task`."""
        return () if self.keeps_head else ("head.weight", "head.bias")

    def tensor_names(self, model: nn.Module) -> Mapping[str, str]:
        """See `Task`."""
        return models.tensor_names(model, self.base, prefix="" if self.keeps_head else "body.")

    def encode(self, rows: Sequence[Row]) -> list[Example]:
        """See `Task`.

        Raises:
            DataError: a row without a text, or with a label that the task does not know.
        """
        texts = [_text_row(row) for row in rows]
        targets = [self._target(row) for row in texts]
        if not texts:
            return []
        whole = self.tokenizer([row.text for row in texts], verbose=False)["input_ids"]
        examples = []
        for index, (row, ids) in enumerate(zip(texts, whole, strict=True)):
            kept = ids
            if len(ids) > self.max_length:  # again, so that the closing special token stays
                kept = self.tokenizer(row.text, truncation=True, max_length=self.max_length)["input_ids"]
            # a decoder has no special tokens: a text that is nothing to its tokenizer is read as one end token
            kept = kept or [self.tokenizer.eos_token_id or 0]
            examples.append(Example(tuple(kept), (targets[index],), max(len(ids) - len(kept), 0), index))
        self._teller.tell(examples, self.max_length, "their end is cut")
        return examples

    def collate(self, examples: Sequence[Example]) -> Batch:
        """See `Task`."""
        ids = [torch.tensor(example.ids) for example in examples]
        return {
            "input_ids": pad_sequence(ids, batch_first=True, padding_value=self.tokenizer.pad_token_id or 0),
            "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
            "labels": torch.tensor([example.labels[0] for example in examples]),
        }

    def loss(self, model: nn.Module, batch: Batch, smoothing: float = 0.0) -> tuple[Tensor, int]:
        """See `Task`. A batch of `features` and `labels` runs the head alone; `weights`, (rows,), weigh each row."""
        logits, labels = self.logits(model, batch)
        if "weights" not in batch:
            return cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing), len(logits)
        losses = cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
        return (losses * batch["weights"]).sum(), len(logits)

    def logits(self, model: nn.Module, batch: Batch) -> tuple[Float[Tensor, "rows labels"], Int64[Tensor, " rows"]]:
        """See `Task`."""
        return self._logits(model, batch), batch["labels"]

    def monitor(
        self, model: nn.Module, examples: Sequence[Example], size: BatchSize, enter: Enter = enter_nothing
    ) -> Monitor:
        """See `Task`. The score is the share of wrong rows, then the loss."""
        loss, wrong = 0.0, 0
        with evaluating(model):
            for places, batch in batches(self, model, examples, size):
                with enter(places):
                    logits = self._logits(model, batch)
                loss += float(cross_entropy(logits, batch["labels"], reduction="sum"))
                wrong += int((logits.argmax(dim=1) != batch["labels"]).sum())
        rows = max(len(examples), 1)
        return Monitor(loss / rows, (wrong / rows, loss / rows), of_share(wrong, rows))

    def features(
        self, model: nn.Module, examples: Sequence[Example], size: BatchSize, enter: Enter = enter_nothing
    ) -> Float[Tensor, "rows dim"]:
        """What the new head reads, for each example in order: all that training a head alone needs. See `monitor`.

        Raises:
            ModelError: the base keeps its own head.
        """
        if not isinstance(model, Classifier):
            raise ModelError("this base keeps its own head: it has no features apart", where=self.base.source)
        found = model.head.weight.new_empty((len(examples), model.head.in_features))
        with evaluating(model):
            for indices, batch in batches(self, model, examples, size):
                with enter(indices):
                    found[indices] = model.features(batch["input_ids"], batch["attention_mask"])
        return found.detach()

    def predict(
        self,
        model: nn.Module,
        rows: Sequence[Row],
        settings: EvaluateConfig,
        progress: Progress | None = None,
        enter: Enter = enter_nothing,
    ) -> ClassPredictions:
        """See `Task`."""
        examples = self.encode(rows)
        probabilities = np.zeros((len(examples), len(self.labels)))
        losses = np.zeros(len(examples))
        truth = np.array([example.labels[0] for example in examples], dtype=np.int64)
        listener = progress or Silent()
        listener.start("predict", len(examples))
        done = 0
        with evaluating(model):
            for indices, batch in batches(self, model, examples, batch_size(settings)):
                with enter(indices):
                    logits = self._logits(model, batch)
                logs = logits.double().log_softmax(dim=1).cpu()  # (rows, labels)
                probabilities[indices] = logs.exp().numpy()
                losses[indices] = -logs[torch.arange(len(indices)), batch["labels"].cpu()].numpy()
                done += len(indices)
                listener.advance(done)
        return ClassPredictions(self.labels, truth, probabilities, losses)

    def describe(self) -> dict[str, Any]:
        """See `Task`."""
        return {
            "task": self.name,
            "labels": list(self.labels),
            "head": "base" if self.keeps_head else "new",
            "pooling": None if self.keeps_head else self.pooling.mode,
            "feature_scale": None if self.keeps_head else (FEATURE_SCALE if self.pooling.normalize else 1.0),
            "normalize": None if self.keeps_head else self.pooling.normalize,
            "max_length": self.max_length,
        }

    def _logits(self, model: nn.Module, batch: Batch) -> Float[Tensor, "rows labels"]:
        logits: Tensor = model(**{name: tensor for name, tensor in batch.items() if name not in _NOT_READ}).logits
        return logits.float()

    def _target(self, row: TextRow) -> int:
        if row.label not in self._index:
            raise DataError(
                f"label {row.label!r} is not among the task's {len(self.labels)}",
                where=str(row.place),
                todo=nearest(row.label, self.labels),
            )
        return self._index[row.label]


def _text_row(row: Row) -> TextRow:
    if not isinstance(row, TextRow):
        raise DataError("a dialogue cannot be classified", where=str(row.place), todo="Set task: generation")
    return row
