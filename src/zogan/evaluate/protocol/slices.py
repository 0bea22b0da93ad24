"""Which test rows each slice has."""

from __future__ import annotations

import re
from collections.abc import Sequence

from zogan.config import SliceConfig
from zogan.data.rows import Row
from zogan.errors import DataError


def members(rows: Sequence[Row], slices: Sequence[SliceConfig]) -> dict[str, tuple[int, ...]]:
    """The rows of each slice.

    Args:
        rows: read with the slices' columns.
        slices: what to look for.

    Returns:
        A slice's name to the places of its rows among `rows`, in order.

    Raises:
        DataError: a slice has no row; says what stands in its column.
    """
    found = {one.name: tuple(place for place, row in enumerate(rows) if _has(row, one)) for one in slices}
    for one in slices:
        if not found[one.name]:
            raise DataError(
                f"none of the {len(rows):,} test rows belongs to it ({_meant(one)})",
                where=f"slice {one.name!r}",
                todo=f"{_instead(rows, one)}Change it in protocol.slices, or add such rows to the test",
            )
    return found


def _has(row: Row, one: SliceConfig) -> bool:
    if one.matches is not None:
        return re.search(one.matches, row.input) is not None
    return (one.column, one.value) in row.columns


def _meant(one: SliceConfig) -> str:
    return f"text matches {one.matches!r}" if one.matches is not None else f"{one.column} = {one.value!r}"


_SHOWN = 8


def _instead(rows: Sequence[Row], one: SliceConfig) -> str:
    """The values that the column has, the commonest first."""
    values = [value for row in rows for column, value in row.columns if column == one.column]
    if not values:
        return ""
    names = sorted(set(values), key=lambda value: (-values.count(value), value))
    more = ", …" if len(names) > _SHOWN else ""
    return f"The column has {', '.join(map(repr, names[:_SHOWN]))}{more}. "
