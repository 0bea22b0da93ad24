"""Test rows by hashes."""

from __future__ import annotations

from dataclasses import replace

from data import dialogue_rows, text_rows
from zogan.config import SliceConfig
from zogan.data.prepare import digest
from zogan.data.rows import Place
from zogan.evaluate.protocol.sample import KEY_DIGITS, digest_of_test, sample

NUMBERED = SliceConfig(name="seats", matches="seat", floor=0.5)


def test_each_row_has_a_key_and_no_text_is_kept() -> None:
    rows = text_rows(12)
    found = sample(rows, [NUMBERED])
    assert found.rows == len(set(found.keys)) == 12
    assert {len(key) for key in found.keys} == {KEY_DIGITS}
    assert "seat" not in found.model_dump_json().replace('"seats"', "")
    assert found.slices["seats"].rows == sum("seat" in row.text for row in rows)


def test_places_and_columns_do_not_matter() -> None:
    rows = text_rows(12)
    elsewhere = [replace(row, place=Place("other", 1), columns=(("lang", "en"),)) for row in rows]
    assert sample(elsewhere, [NUMBERED]) == sample(rows, [NUMBERED])


def test_the_hash_is_that_of_data() -> None:
    for rows in (text_rows(5), dialogue_rows(5)):
        expected = digest({"train": [], "validation": [], "test": rows})
        assert sample(rows, []).sha256 == digest_of_test(rows) == expected


def test_text_label_and_order_matter() -> None:
    rows = text_rows(4)
    others = [rows[::-1], rows[:3], [replace(rows[0], text="x"), *rows[1:]], [replace(rows[0], label="x"), *rows[1:]]]
    assert len({sample(some, []).sha256 for some in (rows, *others)}) == 5


def test_other_members_of_a_slice_are_seen() -> None:
    rows = text_rows(6)
    one = SliceConfig(name="english", column="lang", value="en", floor=0.5)

    def english(*places: int) -> str:
        some = [replace(row, columns=(("lang", "en" if at in places else "de"),)) for at, row in enumerate(rows)]
        return sample(some, [one]).slices["english"].sha256

    assert english(0, 1) == english(0, 1) != english(0, 2)
