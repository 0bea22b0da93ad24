"""Greedy answers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from tiny import tiny_decoder
from zogan.errors import ModelError
from zogan.tasks.answers import greedy


def test_answers_are_the_likeliest_tokens_one_by_one(tmp_path: Path) -> None:
    folder = tiny_decoder(tmp_path / "base", width=64, tied=False)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    prompts = [tokenizer(text)["input_ids"] for text in ("where is my card", "a", "thank you")]
    model.generation_config.repetition_penalty, model.generation_config.max_length = 1.5, 9
    own = model.generation_config
    through: list[int] = []
    found = greedy(model, tokenizer, prompts, ends=(0,), size=2, max_new_tokens=6, advance=through.append)
    for prompt, answer in zip(prompts, found, strict=True):
        ids = list(prompt)
        for _ in range(6):
            with torch.no_grad():
                ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
            if ids[-1] == 0:
                break
        assert answer == tokenizer.decode(ids[len(prompt) :], skip_special_tokens=True).strip()
    assert through == [2, 3]
    assert model.generation_config is own


def test_an_answer_stops_at_an_end(tmp_path: Path) -> None:
    folder = tiny_decoder(tmp_path / "base", width=64, tied=False)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    prompt = tokenizer("where is my card")["input_ids"]
    with torch.no_grad():
        first = int(model(input_ids=torch.tensor([prompt])).logits[0, -1].argmax())
    found = greedy(model, tokenizer, [prompt], ends=(0, first), size=1, max_new_tokens=6, advance=lambda done: None)
    assert found == ("",)


def test_what_cannot_generate_is_refused() -> None:
    with pytest.raises(ModelError, match="Linear: cannot generate"):
        greedy(nn.Linear(1, 1), None, [[1]], ends=(), size=1, max_new_tokens=1, advance=lambda done: None)
