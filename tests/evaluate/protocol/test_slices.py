"""Which test rows each slice has."""

from __future__ import annotations

import pytest

from zogan.config import SliceConfig
from zogan.data.rows import DialogueRow, Message, Place, TextRow
from zogan.errors import DataError
from zogan.evaluate.protocol.slices import members

ROWS = [
    TextRow("my bag is late", "bad", Place("t", 1), (("lang", "en"), ("vip", "true"))),
    TextRow("danke", "good", Place("t", 2), (("lang", "de"),)),
    TextRow("a LATE answer", "fine", Place("t", 3), (("lang", "en"),)),
    TextRow("merci", "good", Place("t", 4)),
]


def by_column(column: str, value: object) -> SliceConfig:
    return SliceConfig.model_validate({"name": "one", "column": column, "value": value, "floor": 0.5})


def by_text(expression: str) -> SliceConfig:
    return SliceConfig(name="one", matches=expression, floor=0.5)


@pytest.mark.parametrize(
    ("one", "places"),
    [
        (by_column("lang", "en"), (0, 2)),
        (by_column("vip", True), (0,)),
        (by_text("late"), (0,)),
        (by_text("(?i)late"), (0, 2)),
        (by_text("^.{5}$"), (1, 3)),
    ],
)
def test_rows_are_found(one: SliceConfig, places: tuple[int, ...]) -> None:
    assert members(ROWS, [one]) == {"one": places}


def test_a_prompt_is_searched_and_not_its_answer() -> None:
    turns = (Message("user", "where is it?"), Message("assistant", "on its way"))
    rows = [DialogueRow(turns, Place("t", 1))]
    assert members(rows, [by_text("where")]) == {"one": (0,)}
    with pytest.raises(DataError, match="slice 'one': none of the 1 test rows belongs to it"):
        members(rows, [by_text("on its way")])


def test_an_empty_slice_says_what_the_column_has() -> None:
    with pytest.raises(
        DataError, match=r"slice 'one': none of the 4 .* \(lang = 'fr'\)\. The column has 'en', 'de'\. Ch"
    ):
        members(ROWS, [by_column("lang", "fr")])


def test_a_column_of_many_values_is_cut_short() -> None:
    rows = [TextRow("t", "l", Place("t", line), (("id", str(line)),)) for line in range(1, 20)]
    with pytest.raises(DataError, match=r"The column has '1', .*'16', …\. Change"):
        members(rows, [by_column("id", "x")])
