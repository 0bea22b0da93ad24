"""What a row is: a text with its class, or a dialogue that ends with the answer to learn."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands: a file's name, and the line it begins at (Parquet: the row), counted from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class TextRow:
    """Classification: a text and its class. `columns` are others that were asked for, with their values as text."""

    text: str
    label: str
    place: Place
    columns: tuple[tuple[str, str], ...] = ()

    @property
    def input(self) -> str:
        """What the model reads."""
        return self.text

    @property
    def target(self) -> str:
        """What it should answer."""
        return self.label

    @property
    def key(self) -> str:
        """Identity of the input: rows with one key are the same text to a reader."""
        return normalise(self.text)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class DialogueRow:
    """Generation: turns, of which the last is the assistant's. `columns` as for `TextRow`."""

    messages: tuple[Message, ...]
    place: Place
    columns: tuple[tuple[str, str], ...] = ()

    @property
    def input(self) -> str:
        """What stands before the answer: the prompt alone, or the turns with their roles."""
        before = self.messages[:-1]
        if len(before) == 1 and before[0].role == "user":
            return before[0].content
        return "\n".join(f"{message.role}: {message.content}" for message in before)

    @property
    def target(self) -> str:
        """The last answer."""
        return self.messages[-1].content

    @property
    def key(self) -> str:
        """Identity of the input: rows with one key are the same dialogue to a reader."""
        return normalise(self.input)

    def chat(self) -> list[dict[str, str]]:
        """The turns as chat templates take them."""
        return [{"role": message.role, "content": message.content} for message in self.messages]


Row = TextRow | DialogueRow


def dialogue(prompt: str, response: str, place: Place) -> DialogueRow:
    """A row of one prompt and its response."""
    return DialogueRow((Message("user", prompt), Message("assistant", response)), place)


def normalise(text: str) -> str:
    """Fold what a reader does not see as a difference: width and composition, case, white space."""
    if text.isascii():
        return " ".join(text.lower().split())
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
