"""How long a row may be, and telling the user of what was cut."""

from __future__ import annotations

from collections.abc import Sequence

from zogan.errors import ConfigError
from zogan.models import Base
from zogan.progress import Progress
from zogan.tasks.task import Example

USUAL_MAX_LENGTH = 512
"""Tokens of a row where the configuration gives no limit and the base could read more."""


def row_limit(base: Base, asked: int | None) -> int:
    """Most tokens of a row.

    Raises:
        ConfigError: more than the base can read.
    """
    if asked is None:
        return min(base.max_length, USUAL_MAX_LENGTH)
    if asked > base.max_length:
        raise ConfigError(f"train.max_length = {asked}: this base reads at most {base.max_length} tokens")
    return asked


class Teller:
    """Says how many rows were cut, each thing once, however often rows are encoded."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._told: set[str] = set()

    def tell(self, examples: Sequence[Example], limit: int, what: str) -> None:
        """Note the rows that are longer than `limit` tokens, if there are any."""
        cuts = [example.cut for example in examples if example.cut]
        if cuts:
            self.say(
                f"{len(cuts)} of {len(examples)} rows are longer than {limit} tokens, by {max(cuts)} at most: "
                f"{what}; train.max_length is the limit"
            )

    def say(self, message: str) -> None:
        """Note a line that was not noted before."""
        if message not in self._told:
            self._told.add(message)
            self._progress.note(message)
