"""What the evaluation's JSON files have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from zogan.errors import RunError, one_line

Whole = TypeVar("Whole", bound=BaseModel)
"""Which document is read."""


class Part(BaseModel):
    """What such a file holds: no key is unknown, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Document(Part):
    """The whole of such a file."""

    def dumps(self) -> str:
        """The file's text: strict JSON, no NaN."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def load(cls: type[Whole], path: Path) -> Whole:
        """Read the file.

        Raises:
            RunError: no such file, or not what `dumps` writes.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise RunError(f"cannot be read: {one_line(error)}", where=str(path)) from None
