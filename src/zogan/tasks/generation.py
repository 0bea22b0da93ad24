"""Generation: a dialogue in, the assistant's next turn out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from zogan import models
from zogan.config import EvaluateConfig
from zogan.data.batch import BatchSize, batch_size
from zogan.data.rows import DialogueRow, Row
from zogan.errors import DataError, ModelError
from zogan.models import Base
from zogan.models.device import onto_device
from zogan.progress import Progress, Silent
from zogan.tasks.answers import greedy
from zogan.tasks.inference import batches, evaluating
from zogan.tasks.labelled import labelled_logits, labelled_losses
from zogan.tasks.limits import Teller
from zogan.tasks.prompt import Dialogue, PromptFormat
from zogan.tasks.spread import of_ratio
from zogan.tasks.task import IGNORED, Batch, Enter, Example, Monitor, TextPredictions, enter_nothing


class Generation:
    """A causal language model that learns the assistant's turns.

    Args:
        base: what is tuned; a decoder.
        max_length: most tokens of a row; the oldest part of the prompt is cut, and of the response what alone is
            longer.
        progress: told how many rows were cut, and how prompts are written where the base has no chat template.
    """

    name = "generation"

    def __init__(self, base: Base, *, max_length: int, progress: Progress | None = None) -> None:
        if not base.decoder:
            raise ModelError(
                f"{base.architecture} is an encoder and cannot generate",
                where=base.source,
                todo="Use a causal language model, or task: classification",
            )
        self.base, self.max_length = base, max_length
        self.tokenizer = models.load_tokenizer(base)
        self.format = PromptFormat(self.tokenizer)
        self._teller = Teller(progress or Silent())
        if self.format.plain:
            self._teller.say(
                "the base has no chat template: a row is written as its prompt, a line end, its response and the "
                "end token"
            )

    def model(self, *, seed: int, dtype: torch.dtype | None = None, empty: bool = False) -> nn.Module:
        """See `Task`."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model: nn.Module = models.load_causal(self.base, dtype=dtype, empty=empty)
        return model if empty else onto_device(model)

    def head(self, model: nn.Module) -> tuple[str, ...]:
        """See `Task`. Nothing is new."""
        return ()

    def tensor_names(self, model: nn.Module) -> Mapping[str, str]:
        """See `Task`."""
        return models.tensor_names(model, self.base)

    def encode(self, rows: Sequence[Row]) -> list[Example]:
        """See `Task`.

        Raises:
            DataError: a row that is no dialogue, or that the chat template refuses.
        """
        dialogues = self.format.encode([_dialogue_row(row) for row in rows])
        bos = self.tokenizer.bos_token_id
        examples = [_example(dialogue, self.max_length, index, bos) for index, dialogue in enumerate(dialogues)]
        self._teller.tell(examples, self.max_length, "the oldest part of the prompt is cut, then the response's end")
        return examples

    def collate(self, examples: Sequence[Example]) -> Batch:
        """See `Task`."""
        ids = [torch.tensor(example.ids) for example in examples]
        labels = [torch.tensor(example.labels) for example in examples]
        return {
            "input_ids": pad_sequence(ids, batch_first=True, padding_value=self.tokenizer.pad_token_id or 0),
            "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
            "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORED),
        }

    def pack(self, examples: Sequence[Example]) -> Batch:
        """The rows behind one another as one sequence, so that nothing is padded.

        Each begins at position 0, by which transformers keeps it from looking at those before it; none of its tokens
        is predicted from them.
        """
        whole = {
            "input_ids": [token for example in examples for token in example.ids],
            "position_ids": [place for example in examples for place in range(len(example.ids))],
            "labels": [label for example in examples for label in (IGNORED, *example.labels[1:])],
        }
        return {name: torch.tensor([tokens]) for name, tokens in whole.items()}  # (1, time)

    def loss(self, model: nn.Module, batch: Batch, smoothing: float = 0.0) -> tuple[Tensor, int]:
        """See `Task`. Logits are formed at labelled positions alone."""
        losses, _ = labelled_losses(model, batch, smoothing)
        return losses.sum(), len(losses)

    def logits(
        self, model: nn.Module, batch: Batch
    ) -> tuple[Float[Tensor, "targets vocabulary"], Int64[Tensor, " targets"]]:
        """See `Task`. They are in memory as a whole, unlike for `loss`."""
        logits, targets, _ = labelled_logits(model, batch)
        return logits, targets

    def monitor(
        self, model: nn.Module, examples: Sequence[Example], size: BatchSize, enter: Enter = enter_nothing
    ) -> Monitor:
        """See `Task`. The score is the loss."""
        total, tokens = 0.0, 0
        sums, counts = np.zeros(len(examples)), np.zeros(len(examples))
        with evaluating(model):
            for rows, batch in batches(self, model, examples, size):
                with enter(rows):
                    losses, places = labelled_losses(model, batch)
                total, tokens = total + float(losses.sum()), tokens + len(losses)
                sums[rows] = np.bincount(places.cpu().numpy(), losses.double().cpu().numpy(), minlength=len(rows))
                counts[rows] = np.bincount(places.cpu().numpy(), minlength=len(rows))
        mean = total / max(tokens, 1)
        return Monitor(mean, (mean,), of_ratio(sums, counts))

    def predict(
        self,
        model: nn.Module,
        rows: Sequence[Row],
        settings: EvaluateConfig,
        progress: Progress | None = None,
        enter: Enter = enter_nothing,
    ) -> TextPredictions:
        """See `Task`. All rows have a loss; the first `settings.answers` are answered too."""
        examples = self.encode(rows)
        losses, tokens = np.zeros(len(examples)), np.zeros(len(examples), dtype=np.int64)
        answered = [_dialogue_row(row) for row in rows[: settings.answers]]
        listener = progress or Silent()
        listener.start("predict", len(examples) + len(answered))
        done = 0
        with evaluating(model):
            for indices, batch in batches(self, model, examples, batch_size(settings)):
                with enter(indices):
                    each, places = labelled_losses(model, batch)
                losses[indices] = torch.zeros(len(indices)).double().index_add(0, places.cpu(), each.double().cpu())
                tokens[indices] = places.bincount(minlength=len(indices)).cpu().numpy()
                done += len(indices)
                listener.advance(done)
            answers = greedy(
                model,
                self.tokenizer,
                self._prompts(answered, settings.max_new_tokens),
                ends=self.format.ends(),
                size=batch_size(settings),
                max_new_tokens=settings.max_new_tokens,
                advance=lambda through: listener.advance(len(examples) + through),
            )
        return TextPredictions(losses, tokens, answers, tuple(row.target for row in answered))

    def describe(self) -> dict[str, Any]:
        """See `Task`."""
        return {
            "task": self.name,
            "prompt_format": self.format.template or "chat_template",
            "max_length": self.max_length,
        }

    def _prompts(self, rows: Sequence[DialogueRow], max_new_tokens: int) -> list[tuple[int, ...]]:
        """Prompts cut as in training, and so that the answer has its place."""
        limit = max(min(self.max_length, self.base.max_length - max_new_tokens), 2)
        return [_newest(ids, limit, self.tokenizer.bos_token_id) for ids in self.format.prompts(rows)]


def _example(dialogue: Dialogue, limit: int, row: int, bos: int | None) -> Example:
    ids = dialogue.ids
    labels = [IGNORED] * len(ids)
    for start, stop in dialogue.learnt:
        labels[start:stop] = ids[start:stop]
    excess = len(ids) - limit
    if excess <= 0:
        return Example(ids, tuple(labels), 0, row)
    opening = int(ids[0] == bos)
    # besides the opening token one of the prompt stays, for the response's first to be predicted from
    cut = min(excess, max(dialogue.learnt[-1][0] - opening - 1, 0))
    kept = [*range(opening), *range(opening + cut, cut + limit)]
    return Example(tuple(ids[at] for at in kept), tuple(labels[at] for at in kept), excess, row)


def _newest(ids: tuple[int, ...], limit: int, bos: int | None) -> tuple[int, ...]:
    opening = int(ids[0] == bos)
    return ids[:opening] + ids[opening + max(len(ids) - limit, 0) :]


def _dialogue_row(row: Row) -> DialogueRow:
    if not isinstance(row, DialogueRow):
        raise DataError("a text and its label are no dialogue", where=str(row.place), todo="Set task: classification")
    return row
