"""The selection file: it gives back what it was given, in bytes that do not vary, and nothing else is taken for it."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from zogan.errors import IntegrityError
from zogan.select import storage
from zogan.select.storage import FORMAT, load_selection, save_selection
from zogan.sparse.selection import Selection

ABOUT: Mapping[str, Any] = {"format": FORMAT, "shapes": {"a": [2, 2]}, "whole": ["head.bias"], "meta": {"seed": 0}}

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: name != "__metadata__"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(
    chosen=st.dictionaries(NAMES, st.sets(st.integers(0, 29)), max_size=4),
    whole=st.lists(NAMES, max_size=2),
    meta=st.dictionaries(st.text(max_size=5), JSON, max_size=3),
)
def test_the_file_gives_back_what_it_was_given(
    tmp_path_factory: pytest.TempPathFactory, chosen: dict[str, set[int]], whole: list[str], meta: dict[str, Any]
) -> None:
    positions = {name: torch.tensor(sorted(flat), dtype=torch.int64) for name, flat in chosen.items()}
    selection = Selection(positions, dict.fromkeys(chosen, (5, 6)), tuple(whole), meta)
    path = tmp_path_factory.mktemp("selection") / "selection.safetensors"
    save_selection(selection, path)
    again = load_selection(path)
    assert again.positions.keys() == selection.positions.keys()
    assert all(torch.equal(again.positions[name], selection.positions[name]) for name in selection.positions)
    assert (again.shapes, again.whole, again.meta) == (selection.shapes, selection.whole, selection.meta)
    first = path.read_bytes()
    save_selection(again, path)
    assert path.read_bytes() == first
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_bytes_do_not_depend_on_the_order(tmp_path: Path) -> None:
    one, two = torch.tensor([0, 3]), torch.tensor([1])
    shapes = {"a": (2, 2), "b": (1, 2)}
    save_selection(Selection({"a": one, "b": two}, shapes, meta={"x": 1, "y": 2}), tmp_path / "ab")
    backwards = {"b": (1, 2), "a": (2, 2)}
    save_selection(Selection({"b": two, "a": one}, backwards, meta={"y": 2, "x": 1}), tmp_path / "ba")
    assert (tmp_path / "ab").read_bytes() == (tmp_path / "ba").read_bytes()


def test_positions_may_share_memory(tmp_path: Path) -> None:
    flat = torch.tensor([0, 1, 2, 3])
    shared = Selection({"a": flat, "b": flat, "c": flat[::2]}, dict.fromkeys("abc", (2, 2)))
    save_selection(shared, tmp_path / "file")
    found = load_selection(tmp_path / "file").positions
    assert {name: flat.tolist() for name, flat in found.items()} == {
        "a": [0, 1, 2, 3],
        "b": [0, 1, 2, 3],
        "c": [0, 2],
    }


def test_the_format_on_disk(tmp_path: Path) -> None:
    save_selection(Selection({"重み": torch.tensor([3])}, {"重み": (2, 2)}, ("h",), {"seed": 1}), tmp_path / "file")
    with safe_open(tmp_path / "file", framework="pt") as file:
        assert list(file.keys()) == ["重み"]
        assert file.get_tensor("重み").tolist() == [3]
        about = json.loads(file.metadata()["zogan"])
    assert about == {"format": "zogan-selection/1", "shapes": {"重み": [2, 2]}, "whole": ["h"], "meta": {"seed": 1}}


def test_a_crash_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "selection.safetensors"
    save_selection(Selection({"a": torch.tensor([0])}, {"a": (2, 2)}), path)
    first = path.read_bytes()

    def torn(tensors: object, file: Path, metadata: object) -> None:
        file.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(storage, "save_file", torn)
    with pytest.raises(OSError, match="No space left"):
        save_selection(Selection({"a": torch.tensor([1])}, {"a": (2, 2)}), path)
    assert path.read_bytes() == first


def write(path: Path, about: object = ABOUT, tensors: dict[str, Tensor] | None = None, **changed: object) -> Path:
    """A file as `save_selection` would write it, but for what is changed."""
    if changed and isinstance(about, Mapping):
        about = {**about, **changed}
    text = about if isinstance(about, str) else json.dumps(about)
    save_file({"a": torch.tensor([0, 3])} if tensors is None else tensors, path, {"zogan": text})
    return path


def test_the_file_that_is_spoilt_below_is_whole(tmp_path: Path) -> None:
    found = load_selection(write(tmp_path / "file"))
    assert (found.count, found.whole, found.meta) == (2, ("head.bias",), {"seed": 0})


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "another format": (lambda path: write(path, format="zogan-selection/9"), "format 'zogan-selection/9' is not"),
    "a list for metadata": (lambda path: write(path, []), "list indices"),
    "null for metadata": (lambda path: write(path, None), "NoneType"),
    "no JSON": (lambda path: write(path, "{"), "Expecting property name"),
    "bottomless JSON": (lambda path: write(path, "[" * 100_000), "recursion"),
    "no metadata": (lambda path: save_file({"a": torch.tensor([0])}, path), "'zogan' is missing"),
    "no shapes": (lambda path: write(path, {"format": FORMAT}), "'whole' is missing"),
    "shapes in a list": (lambda path: write(path, shapes=[["a", [2, 2]]]), "is no dict"),
    "a shape that is a number": (lambda path: write(path, shapes={"a": 4}), "4 is no list"),
    "a size that is a text": (lambda path: write(path, shapes={"a": ["2", 2]}), "'2' is no int"),
    "a size that is true": (lambda path: write(path, shapes={"a": [True, 4]}), "True is no int"),
    "a size below 1": (lambda path: write(path, shapes={"a": [-2, -2]}), r"\[-2, -2\] is no shape"),
    "a size without end": (lambda path: write(path, shapes={"a": [2**62, 4]}), "is no shape of a weight"),
    "whole as a text": (lambda path: write(path, whole="head"), "'head' is no list"),
    "whole with a number": (lambda path: write(path, whole=[1]), "1 is no str"),
    "meta as a list": (lambda path: write(path, meta=[]), r"\[\] is no dict"),
    "a tensor without a shape": (lambda path: write(path, shapes={"b": [2, 2]}), "'a' is missing"),
    "positions of int32": (
        lambda path: write(path, tensors={"a": torch.tensor([0], dtype=torch.int32)}),
        "must be one row of int64",
    ),
    "positions in a matrix": (lambda path: write(path, tensors={"a": torch.tensor([[0]])}), "must be one row of int64"),
    "positions outside": (lambda path: write(path, tensors={"a": torch.tensor([4])}), r"within 0\.\.3"),
    "positions below": (lambda path: write(path, tensors={"a": torch.tensor([-1])}), r"within 0\.\.3"),
    "positions twice": (lambda path: write(path, tensors={"a": torch.tensor([1, 1])}), "strictly increasing"),
    "cut": (lambda path: path.write_bytes(write(path).read_bytes()[:-1]), "is no selection file: "),
    "longer": (lambda path: path.write_bytes(write(path).read_bytes() + b"\0"), "is no selection file: "),
    "empty": (lambda path: path.write_bytes(b""), "is no selection file: "),
    "a header without end": (lambda path: path.write_bytes(struct.pack("<Q", 2**63) + b"{}"), "is no selection file: "),
    "a pickle": (lambda path: torch.save({"a": 1}, path), "is no selection file: "),
    "missing": (lambda path: None, "No such file"),
    "a folder": (lambda path: path.mkdir(), "is no selection file: "),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_or_damaged_file_is_refused(tmp_path: Path, what: str) -> None:
    spoil, said = HOSTILE[what]
    path = tmp_path / "selection.safetensors"
    spoil(path)
    with pytest.raises(IntegrityError, match=rf"^{re.escape(str(path))}: is no selection file: .*{said}|{said}"):
        load_selection(path)


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_is_still_a_selection(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int
) -> None:
    path = write(tmp_path_factory.mktemp("flipped") / "file")
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)
    try:
        found = load_selection(path)
    except IntegrityError:
        return
    # Nothing but a selection whose positions fit ever comes out.
    Selection(found.positions, found.shapes, found.whole, found.meta)
