"""Dialogues as tokens, and which of them are learnt."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny import CHAT_TEMPLATE, tiny_tokenizer
from zogan.data.rows import DialogueRow, Message, Place, dialogue
from zogan.errors import DataError
from zogan.tasks.prompt import Dialogue, PromptFormat

HERE = Place("test.jsonl", 1)
TURNS = DialogueRow(
    (
        Message("system", "be kind"),
        Message("user", "where is my card"),
        Message("assistant", "on its way"),
        Message("user", "thank you"),
        Message("assistant", "you are welcome"),
    ),
    HERE,
)
TOKENIZER = tiny_tokenizer(decoder=True, chat_template=CHAT_TEMPLATE)
PLAIN = tiny_tokenizer(decoder=True)


def learnt(tokenizer: Any, found: Dialogue) -> list[str]:
    return [tokenizer.decode(found.ids[start:stop]) for start, stop in found.learnt]


def test_every_assistants_turn_is_learnt_with_its_end() -> None:
    (found,) = PromptFormat(TOKENIZER).encode([TURNS])
    assert learnt(TOKENIZER, found) == ["on its way<|end|>", "you are welcome<|end|>"]
    assert TOKENIZER.decode(found.ids) == TOKENIZER.apply_chat_template(TURNS.chat(), tokenize=False)


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_prompt_is_how_the_row_begins(prompt: str, response: str) -> None:
    for tokenizer in (TOKENIZER, PLAIN):
        row, form = dialogue(prompt, response, HERE), PromptFormat(tokenizer)
        (found,), (asked,) = form.encode([row]), form.prompts([row])
        ((start, stop),) = found.learnt
        assert found.ids[:start] == asked
        assert stop > start
        assert found.ids[stop - 1] == tokenizer.eos_token_id


def test_without_a_template_it_is_plain() -> None:
    form = PromptFormat(PLAIN)
    (found,) = form.encode([dialogue("where", "here", HERE)])
    assert form.plain
    assert PLAIN.decode(found.ids) == "where\nhere<|end|>"
    assert learnt(PLAIN, found) == ["here<|end|>"]
    assert PLAIN.chat_template is None


def test_plain_text_opens_as_the_tokenizer_does() -> None:
    tokenizer = tiny_tokenizer(decoder=True, bos=True)
    (found,) = PromptFormat(tokenizer).encode([dialogue("where", "here", HERE)])
    assert tokenizer.decode(found.ids) == "<|start|>where\nhere<|end|>"


def test_a_seam_that_merges_is_kept_apart() -> None:
    form = PromptFormat(PLAIN)
    row = dialogue("thank you", "\n\nthank you", HERE)
    (found,), (asked,) = form.encode([row]), form.prompts([row])
    assert found.ids[: found.learnt[0][0]] == asked
    assert PLAIN.decode(found.ids) == "thank you\n\n\nthank you<|end|>"


def test_a_template_that_rewrites_the_past_teaches_the_last_turn() -> None:
    forgetful = (
        "{% for message in messages %}{% if message['role'] == 'assistant' and not loop.last %}(answered)\n"
        "{% else %}{{ message['content'] + ('<|end|>' if message['role'] == 'assistant' else '\\n') }}{% endif %}"
        "{% endfor %}"
    )
    tokenizer = tiny_tokenizer(decoder=True, chat_template=forgetful)
    (found,) = PromptFormat(tokenizer).encode([TURNS])
    assert learnt(tokenizer, found) == ["you are welcome<|end|>"]
    assert "(answered)" in tokenizer.decode(found.ids)


def test_a_template_that_asks_in_other_words_is_followed_as_it_asks() -> None:
    thinking = CHAT_TEMPLATE.replace("'<|start|>assistant\\n'", "'<|start|>assistant\\n<think>\\n'")
    tokenizer = tiny_tokenizer(decoder=True, chat_template=thinking)
    row, form = dialogue("where", "here", HERE), PromptFormat(tokenizer)
    (found,) = form.encode([row])
    assert (
        tokenizer.decode(found.ids[: found.learnt[0][0]])
        == "<|start|>user\nwhere<|end|>\n<|start|>assistant\n<think>\n"
    )
    assert learnt(tokenizer, found) == ["here<|end|>"]


def test_a_template_that_leaves_words_out_still_teaches_the_answer() -> None:
    silent = CHAT_TEMPLATE.replace("message['content']", "message['content'].upper()").replace(
        "assistant\\n", "assistant\\n:"
    )
    tokenizer = tiny_tokenizer(decoder=True, chat_template=silent)
    (found,) = PromptFormat(tokenizer).encode([dialogue("where", "here", HERE)])
    assert learnt(tokenizer, found) == ["here<|end|>"]


def test_ends() -> None:
    assert PromptFormat(TOKENIZER).ends() == (TOKENIZER.eos_token_id,)
    other = tiny_tokenizer(decoder=True, chat_template=CHAT_TEMPLATE.replace("<|end|>", "<|pad|>"))
    assert PromptFormat(other).ends() == (other.eos_token_id, other.pad_token_id)


def test_an_answer_to_nothing_is_refused() -> None:
    row = DialogueRow((Message("assistant", "hello"),), HERE)
    with pytest.raises(DataError, match=r"test.jsonl:1: nothing stands before the answer"):
        PromptFormat(TOKENIZER).encode([row])


def test_a_greeting_is_read_but_not_learnt() -> None:
    turns = (Message("assistant", "hello"), Message("user", "where"), Message("assistant", "here"))
    (found,) = PromptFormat(TOKENIZER).encode([DialogueRow(turns, HERE)])
    assert learnt(TOKENIZER, found) == ["here<|end|>"]


def test_a_template_may_refuse() -> None:
    strict = "{% if messages[0]['role'] != 'user' %}{{ raise_exception('users first') }}{% endif %}" + CHAT_TEMPLATE
    form = PromptFormat(tiny_tokenizer(decoder=True, chat_template=strict))
    with pytest.raises(DataError, match=r"test.jsonl:1: the base's chat template refuses the dialogue: users first"):
        form.encode([TURNS])
