"""Looks are counted, one behind the other, whatever kills a process between."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_protocol import AT
from zogan.errors import IntegrityError
from zogan.evaluate.protocol.looks import NAME, Look, add_look, count_looks, looks

TEST, OTHER = "a" * 64, "b" * 64


def look(number: int, test: str = TEST) -> Look:
    return Look(at=AT, patch=f"{number:064x}", command="pilot", test=test)


def test_no_file_no_looks(tmp_path: Path) -> None:
    assert looks(tmp_path / NAME) == ()
    assert count_looks(tmp_path / NAME, TEST) == 0


def test_looks_are_added_in_order(tmp_path: Path) -> None:
    path = tmp_path / NAME
    for number in range(3):
        before = path.read_bytes() if number else b""
        add_look(path, look(number, OTHER if number == 1 else TEST))
        assert path.read_bytes().startswith(before)
    assert [int(one.patch, 16) for one in looks(path)] == [0, 1, 2]
    assert (count_looks(path, TEST), count_looks(path, OTHER)) == (2, 1)


def test_the_same_patch_again_is_another_look(tmp_path: Path) -> None:
    for _ in range(2):
        add_look(tmp_path / NAME, look(1))
    assert count_looks(tmp_path / NAME, TEST) == 2


@given(st.data())
def test_a_line_torn_anywhere_costs_no_other(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("looks") / NAME
    add_look(path, look(1))
    whole = len(path.read_bytes())
    add_look(path, look(2))
    content = path.read_bytes()
    cut = data.draw(st.integers(whole, len(content)))
    path.write_bytes(content[:cut])
    there = [1, 2] if cut >= len(content) - 1 else [1]  # all but its line end is all of it
    assert [int(one.patch, 16) for one in looks(path)] == there
    add_look(path, look(3))
    assert [int(one.patch, 16) for one in looks(path)] == [*there, 3]


def test_a_damaged_line_before_the_last_is_named(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_text("{}\n")
    add_look(path, look(1))
    with pytest.raises(IntegrityError, match=rf"{NAME}:1: is damaged"):
        looks(path)
