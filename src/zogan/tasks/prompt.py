"""A dialogue as tokens: the tokenizer's chat template, and which tokens are the assistant's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jinja2

from zogan.data.rows import DialogueRow
from zogan.errors import DataError

PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message['content'] }}"
    "{{ eos_token if message['role'] == 'assistant' else '\\n' }}{% endfor %}"
)
"""Where the tokenizer has no chat template: prompt, line end, response, end token."""

Chat = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A row as tokens.

    Args:
        ids: all of them.
        learnt: spans [start, stop) of assistants' turns with their end token; the last is the row's response.
    """

    ids: tuple[int, ...]
    learnt: tuple[tuple[int, int], ...]


class PromptFormat:
    """How a tokenizer's base wants a dialogue written.

    Args:
        tokenizer: of the base; without a chat template, `PLAIN_TEMPLATE` is used.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.plain = tokenizer.chat_template is None
        template = PLAIN_TEMPLATE
        if self.plain and tokenizer.bos_token_id is not None:
            opening = tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id
            template = ("{{ bos_token }}" if opening else "") + template
        self.template: str | None = template if self.plain else None
        self._special = set(tokenizer.all_special_ids)

    def encode(self, rows: Sequence[DialogueRow]) -> list[Dialogue]:
        """Each row's tokens, and those to learn.

        An assistant's turn is what the rendering of the dialogue up to and with it adds to the rendering before it.
        Where the renderings up to an earlier turn are no prefix of the whole (some templates rewrite the past), the
        last response alone is learnt.

        Raises:
            DataError: a dialogue that the template refuses.
        """
        chats = [(row, row.chat()) for row in rows]
        texts = [self._render(row, chat, ask=False) for row, chat in chats]
        wholes = self._tokens(texts)
        parts = [self._parts(row, chat) for row, chat in chats]
        tokens = iter(self._tokens([text for row_parts in parts for part in row_parts for text in part]))
        dialogues = []
        for (_, chat), text, whole, row_parts in zip(chats, texts, wholes, parts, strict=True):
            spans = [(next(tokens), next(tokens)) for _ in row_parts]
            dialogues.append(self._dialogue(chat, text, whole, row_parts, spans))
        return dialogues

    def prompts(self, rows: Sequence[DialogueRow]) -> list[tuple[int, ...]]:
        """The tokens before each row's response, up to where the assistant's turn opens."""
        return [tuple(ids) for ids in self._tokens([self._render(row, row.chat()[:-1], ask=True) for row in rows])]

    def ends(self) -> tuple[int, ...]:
        """Tokens that end an assistant's turn: the tokenizer's end token, and the template's own."""
        found = {self.tokenizer.eos_token_id} - {None}
        chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        before = self.tokenizer.apply_chat_template(
            chat[:1], chat_template=self.template, tokenize=False, add_generation_prompt=True
        )
        whole = self.tokenizer.apply_chat_template(chat, chat_template=self.template, tokenize=False)
        if whole.startswith(before):
            found.update([token for token in self._tokens([whole[len(before) :]])[0] if token in self._special][-1:])
        return tuple(sorted(found))

    def _parts(self, row: DialogueRow, chat: Chat) -> list[tuple[str, str]]:
        """Renderings just before, and with, each assistant's turn that something precedes."""
        turns = [turn for turn, message in enumerate(chat) if message["role"] == "assistant" and turn]
        if not turns:
            raise DataError("nothing stands before the answer", where=str(row.place))
        return [
            (self._render(row, chat[:turn], ask=True), self._render(row, chat[: turn + 1], ask=False)) for turn in turns
        ]

    def _dialogue(
        self,
        chat: Chat,
        text: str,
        whole: list[int],
        parts: list[tuple[str, str]],
        spans: list[tuple[list[int], list[int]]],
    ) -> Dialogue:
        if all(_is_prefix(before, whole) and _is_prefix(after, whole) for before, after in spans):
            learnt = tuple((len(before), self._end(whole, len(before), len(after))) for before, after in spans)
            return Dialogue(tuple(whole), learnt)
        before = spans[-1][0]
        if not _is_prefix(before, whole):
            # a token spans the seam, or the template asks in other words than it tells: join the two as at generation
            prompt, content = parts[-1][0], chat[-1]["content"]
            start = len(prompt) if text.startswith(prompt) else text.rfind(content.strip())
            response = text[start:] if start >= 0 else content + (self.tokenizer.eos_token or "")
            whole = before + self._tokens([response])[0]
        return Dialogue(tuple(whole), ((len(before), self._end(whole, len(before), len(whole))),))

    def _end(self, ids: list[int], start: int, stop: int) -> int:
        """Where learning stops: after the turn's last special token, for nothing is asked of the model beyond it."""
        special = [index for index in range(start, stop) if ids[index] in self._special]
        return special[-1] + 1 if special else stop

    def _render(self, row: DialogueRow, chat: Chat, *, ask: bool) -> str:
        try:
            text: str = self.tokenizer.apply_chat_template(
                chat, chat_template=self.template, tokenize=False, add_generation_prompt=ask
            )
        except (jinja2.TemplateError, IndexError) as error:
            raise DataError(f"the base's chat template refuses the dialogue: {error}", where=str(row.place)) from None
        return text

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        ids: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return ids


def _is_prefix(part: list[int], whole: list[int]) -> bool:
    return whole[: len(part)] == part
