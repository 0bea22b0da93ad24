"""Greedy answers of a causal language model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig

from zogan.data.batch import BatchSize, ordered
from zogan.errors import ModelError


def greedy(
    model: nn.Module,
    tokenizer: Any,
    prompts: Sequence[Sequence[int]],
    *,
    ends: Sequence[int],
    size: BatchSize,
    max_new_tokens: int,
    advance: Callable[[int], None],
) -> tuple[str, ...]:
    """The likeliest next token, again and again, up to a token that ends the turn.

    Args:
        model: with transformers' `generate`.
        tokenizer: of the base.
        prompts: tokens up to where the answer begins.
        ends: tokens that end an answer.
        size: of one batch, answers counted.
        max_new_tokens: longest answer, tokens.
        advance: told the prompts answered so far.

    Returns:
        Answers without special tokens and outer white space, in the order of the prompts.
    """
    generate: Any = getattr(model, "generate", None)
    if generate is None:
        raise ModelError("cannot generate", where=type(model).__name__, todo="Use a causal language model")
    pad = tokenizer.pad_token_id or 0
    settings = GenerationConfig(
        do_sample=False, max_new_tokens=max_new_tokens, eos_token_id=list(ends) or None, pad_token_id=pad
    )
    device = next(model.parameters()).device
    answers = [""] * len(prompts)
    done = 0
    for indices in ordered([len(prompt) + max_new_tokens for prompt in prompts], size):
        width = max(len(prompts[index]) for index in indices)
        ids = torch.full((len(indices), width), pad)
        mask = torch.zeros_like(ids)
        for place, index in enumerate(indices):  # padded on the left: answers go on where prompts end
            prompt = torch.tensor(prompts[index])
            ids[place, width - len(prompt) :] = prompt
            mask[place, width - len(prompt) :] = 1
        with _plain(model):
            written = generate(input_ids=ids.to(device), attention_mask=mask.to(device), generation_config=settings)
        written = written[:, width:].tolist()
        for index, tokens in zip(indices, written, strict=True):
            stop = next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
            answers[index] = tokenizer.decode(tokens[:stop], skip_special_tokens=True).strip()
        done += len(indices)
        advance(done)
    return tuple(answers)


@contextmanager
def _plain(model: Any) -> Iterator[None]:
    """Set aside the base's own way to generate: its sampling and penalties would be mixed into ours."""
    own = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own
