"""A body without a head, its pooled features, and one linear layer on them."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput

from zogan.models import Pooling

FEATURE_SCALE = 10.0
"""Normalised features are stretched to this length: at length 1 a linear head cannot become sure of anything."""

HEAD_STD = 0.02


class Classifier(nn.Module):
    """Logits from pooled features of a body.

    Args:
        body: a transformers model whose output has `last_hidden_state`.
        head: linear, from features to labels.
        pooling: how the hidden states of a row become one vector.
    """

    def __init__(self, body: nn.Module, head: nn.Linear, pooling: Pooling) -> None:
        super().__init__()
        self.body, self.head, self.pooling = body, head, pooling

    @property
    def feature_scale(self) -> float:
        """What the features are multiplied by."""
        return FEATURE_SCALE if self.pooling.normalize else 1.0

    def forward(
        self,
        input_ids: Int64[Tensor, "rows time"] | None = None,
        attention_mask: Int64[Tensor, "rows time"] | None = None,
        labels: Int64[Tensor, " rows"] | None = None,
        features: Float[Tensor, "rows dim"] | None = None,
    ) -> SequenceClassifierOutput:
        """Logits, and the mean cross-entropy where labels are given.

        Args:
            input_ids: tokens.
            attention_mask: 1 at tokens, 0 at padding; all tokens where absent.
            labels: index of the right label.
            features: what `features` gave for these rows; the body is not run then.
        """
        if features is None:
            if input_ids is None:
                raise ValueError("a classifier needs input_ids or features")
            features = self.features(input_ids, attention_mask)
        logits = self.head(features)
        loss = None if labels is None else nn.functional.cross_entropy(logits.float(), labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def features(
        self, input_ids: Int64[Tensor, "rows time"], attention_mask: Int64[Tensor, "rows time"] | None = None
    ) -> Float[Tensor, "rows dim"]:
        """What the head reads, in the head's dtype."""
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        hidden = self.body(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        pooled = pool(hidden.to(self.head.weight.dtype), attention_mask.bool(), self.pooling.mode)
        if self.pooling.normalize:
            pooled = nn.functional.normalize(pooled, dim=1)
        return pooled * self.feature_scale

    def activation_checkpointing_enable(self, **options: Any) -> None:
        """As in transformers: compute the body's activations again in backward."""
        self.body.activation_checkpointing_enable(**options)  # type: ignore[operator]

    def activation_checkpointing_disable(self) -> None:
        """As in transformers."""
        self.body.activation_checkpointing_disable()  # type: ignore[operator]

    def gradient_checkpointing_enable(self, **options: Any) -> None:
        """The same by its older name, which older transformers know alone."""
        self.body.gradient_checkpointing_enable(**options)  # type: ignore[operator]


def pool(
    hidden: Float[Tensor, "rows time dim"], mask: Bool[Tensor, "rows time"], mode: str
) -> Float[Tensor, "rows dim"]:
    """One vector a row, of its tokens alone, whichever side is padded.

    Args:
        hidden: the body's last hidden states.
        mask: true at tokens; each row has one at least.
        mode: mean, cls (the first token), max, mean_sqrt_len_tokens or last.
    """
    rows = torch.arange(hidden.shape[0], device=hidden.device)
    if mode == "cls":
        return hidden[rows, mask.int().argmax(dim=1)]
    if mode == "last":
        from_the_end = mask.flip(1).int().argmax(dim=1)
        return hidden[rows, mask.shape[1] - 1 - from_the_end]
    outside = ~mask.unsqueeze(2)  # (rows, time, 1)
    if mode == "max":
        return hidden.masked_fill(outside, -math.inf).amax(dim=1)
    total = hidden.masked_fill(outside, 0).sum(dim=1)  # (rows, dim)
    length = mask.sum(dim=1, keepdim=True).to(hidden.dtype)  # (rows, 1)
    if mode == "mean":
        return total / length
    if mode == "mean_sqrt_len_tokens":
        return total / length.sqrt()
    raise ValueError(f"pooling mode {mode!r}: must be mean, cls, max, mean_sqrt_len_tokens or last")


def new_head(features: int, labels: int, *, seed: int) -> nn.Linear:
    """A linear head in fp32, small and centred; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        head = nn.Linear(features, labels)
    nn.init.normal_(head.weight, std=HEAD_STD, generator=torch.Generator().manual_seed(seed))
    nn.init.zeros_(head.bias)
    return head
