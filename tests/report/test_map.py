"""The map of a patch as a file."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from zogan.errors import ConfigError, ZoganError
from zogan.patch.places import Cell, Places, locate
from zogan.report.map import draw


def places(layers: int) -> Places:
    cells = {("q", layer): Cell(1 + layer, 100, 1.0, 4.0) for layer in range(layers)}
    return Places(tuple(range(layers)), ("q",), cells, {})


@pytest.mark.parametrize("layers", [3, 40])
def test_it_is_drawn_and_the_same_each_time(tmp_path: Path, layers: int) -> None:
    for name in ("one.svg", "two.svg"):
        draw(places(layers), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    ET.parse(tmp_path / "one.svg")
    draw(places(layers), tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")


def test_a_size_that_is_no_number_is_left_blank(tmp_path: Path) -> None:
    draw(locate({"layer.0.q.weight": (1, (2, 2))}), tmp_path / "map.svg")
    assert (tmp_path / "map.svg").is_file()


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.txt is no kind of picture"):
        draw(places(1), tmp_path / "map.txt")
    with pytest.raises(ZoganError, match="there is nothing to draw"):
        draw(locate({}), tmp_path / "map.svg")
