"""The test rows as a protocol knows them: by hashes alone, so that a freeze holds no text of theirs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from zogan.config import SliceConfig
from zogan.data.prepare import content, digest
from zogan.data.rows import Row
from zogan.evaluate.document import Part
from zogan.evaluate.protocol.slices import members
from zogan.patch.meta import Sha256, Size

KEY_DIGITS = 16
"""Of a row's SHA-256, in hex: 64 bits keep any two of a million rows apart."""

Key = Annotated[str, Field(pattern=rf"^[0-9a-f]{{{KEY_DIGITS}}}$")]


class SliceSample(Part):
    """The rows of a slice: how many, and a SHA-256 over their keys."""

    rows: Size
    sha256: Sha256


class Sample(Part):
    """Test rows.

    Attributes:
        rows: how many.
        sha256: over the rows in order, as `data.prepare.digest` takes it of a test split alone.
        keys: of each row, in order: the first digits of the SHA-256 of its input and target.
        slices: the rows of each slice.
    """

    rows: Size
    sha256: Sha256
    keys: tuple[Key, ...]
    slices: Mapping[str, SliceSample]


def sample(rows: Sequence[Row], slices: Sequence[SliceConfig]) -> Sample:
    """Test rows by hashes.

    Raises:
        DataError: a slice has no row.
    """
    keys = tuple(row_key(row) for row in rows)
    parts = {}
    for name, places in members(rows, slices).items():
        text = "".join(keys[place] for place in places)
        parts[name] = SliceSample(rows=len(places), sha256=hashlib.sha256(text.encode()).hexdigest())
    return Sample(rows=len(rows), sha256=digest_of_test(rows), keys=keys, slices=parts)


def row_key(row: Row) -> str:
    """By which a test row is known without its text: see `Sample.keys`."""
    return hashlib.sha256(content(row)).hexdigest()[:KEY_DIGITS]


def digest_of_test(rows: Sequence[Row]) -> str:
    """SHA-256 over test rows in order, in hex."""
    return digest({"train": (), "validation": (), "test": rows})
