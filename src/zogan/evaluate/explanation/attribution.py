"""What each token added to the log-probability of an answer: integrated gradients over the input embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from zogan.errors import ConfigError, ModelError
from zogan.tasks.classifier import Classifier
from zogan.tasks.inference import evaluating
from zogan.tasks.job import Job

STEPS = (32, 64, 128, 256)
"""Of the integral: as many as the completeness needs."""

_TOLERANCE, _LEAST = 0.01, 0.005
"""Of the difference from the baseline, and nats: attributions that add up to less than this beside it are enough."""

_AT_ONCE = 8
"""Steps that run as one batch."""


@dataclass(frozen=True, eq=False)
class Asked:
    """An answer that is explained.

    Args:
        ids: what the model reads: of generation, with the answer's tokens.
        baseline: the same with padding in the place of the text.
        labels: of the answer: its index among the labels; of generation one a token, `IGNORED` outside of it.
    """

    ids: Int64[Tensor, "1 time"]
    baseline: Int64[Tensor, "1 time"]
    labels: Int64[Tensor, "1 ..."]


@dataclass(frozen=True, eq=False)
class Attributed:
    """What tokens added to an answer's log-probability.

    Attributes:
        tokens: nats, of each.
        log_probability: of the answer.
        baseline: the same of the padding.
        steps: of the integral.
    """

    tokens: Float64[Tensor, " time"]
    log_probability: float
    baseline: float
    steps: int

    @property
    def delta(self) -> float:
        """What the attributions' sum misses of the difference from the baseline, nats."""
        return float(self.tokens.sum()) - (self.log_probability - self.baseline)


def attribute(job: Job, model: nn.Module, asked: Asked) -> Attributed:
    """Integrated gradients (Sundararajan, Taly and Yan, arXiv:1703.01365) by captum, with Gauss-Legendre steps.

    More steps are taken until the attributions add up to the difference from the baseline within 1 %, or at most 256.

    Args:
        job: whose task the model is for.
        model: in fp32.
        asked: the answer.

    Raises:
        ConfigError: captum is not installed.
        ModelError: the model has no input embeddings.
    """
    captum = require_captum()
    device = next(model.parameters()).device
    ids, baseline, labels = (one.to(device) for one in (asked.ids, asked.baseline, asked.labels))

    def score(ids: Int64[Tensor, "rows time"]) -> Float[Tensor, " rows"]:
        rows = len(ids)
        batch = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "labels": labels.expand(rows, *labels.shape[1:]),
        }
        logits, targets = job.task.logits(model, batch)
        chosen = logits.log_softmax(dim=1).gather(1, targets[:, None])  # (rows * targets, 1)
        return chosen.view(rows, -1).sum(dim=1)

    with evaluating(model):
        ends = [float(score(one)) for one in (ids, baseline)]
        with torch.enable_grad():
            method = captum.LayerIntegratedGradients(score, _embeddings(model))
            for steps in STEPS:
                found = method.attribute(ids, baseline, n_steps=steps, internal_batch_size=_AT_ONCE)
                tokens = found.detach().double().sum(dim=2)[0].cpu()  # (time,)
                attributed = Attributed(tokens, ends[0], ends[1], steps)
                if abs(attributed.delta) <= _LEAST + _TOLERANCE * abs(ends[0] - ends[1]):
                    break
    return attributed


def require_captum() -> Any:
    """Captum's attributions.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import captum.attr
    except ImportError:
        raise ConfigError(
            "tokens are attributed with captum, which is not installed",
            todo="Install it with pip install 'zogan[explain]'",
        ) from None
    return captum.attr


def _embeddings(model: nn.Module) -> nn.Module:
    body = model.body if isinstance(model, Classifier) else model
    found = getattr(body, "get_input_embeddings", lambda: None)()
    if not isinstance(found, nn.Module):
        raise ModelError("no input embeddings to attribute to", where=type(body).__name__)
    return found
