"""Hidden states come back as they went in, unpadded, from a file that holds just them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from zogan.train.hidden import LOCK, VALUES, HiddenStates, bytes_wanted, make_room

LENGTHS = [3, 1, 4, 2]


def states(folder: Path, dtype: torch.dtype = torch.float32, *, resident: int = 10**9) -> HiddenStates:
    return HiddenStates(folder, LENGTHS, 8, dtype, resident=resident)


def batch(rows: list[int], seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(rows), max(LENGTHS[row] for row in rows), 8, generator=generator)


@pytest.mark.parametrize("resident", [0, 10**9])
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 0.0), (torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
def test_they_come_back(tmp_path: Path, dtype: torch.dtype, error: float, resident: int) -> None:
    kept = states(tmp_path / "one", dtype, resident=resident)
    first, second = batch([2, 0]), batch([1, 3], seed=1)
    kept.write([2, 0], first)
    kept.write([1, 3], second)
    kept.mark(2)
    again = states(tmp_path / "one", dtype, resident=resident)
    assert again.done == 2
    found = again.read([0, 3])
    assert found.shape == (2, 3, 8)
    torch.testing.assert_close(found[0], first[1, :3], rtol=error, atol=0)
    torch.testing.assert_close(found[1, :2], second[1, :2], rtol=error, atol=0)
    assert not found[1, 2:].any()  # padding
    assert (tmp_path / "one" / VALUES).stat().st_size == sum(LENGTHS) * 8 * dtype.itemsize


@settings(max_examples=50, deadline=None)
@given(scale=st.floats(1e-30, 1e30), seed=st.integers(0, 1000))
def test_int8_is_within_half_a_step_of_each_tokens_own_scale(
    tmp_path_factory: pytest.TempPathFactory, scale: float, seed: int
) -> None:
    kept = states(tmp_path_factory.mktemp("int8"), torch.int8)
    given_states = batch([2], seed) * scale
    kept.write([2], given_states)
    found = kept.read([2])
    steps = given_states.abs().amax(dim=2, keepdim=True) / 127
    assert ((found - given_states).abs() <= 0.501 * steps).all()


def test_int8_of_nothing_is_nothing(tmp_path: Path) -> None:
    kept = states(tmp_path, torch.int8)
    kept.write([1], torch.zeros(1, 1, 8))
    assert not kept.read([1]).any()
    assert bytes_wanted(LENGTHS, 8, torch.int8) == 10 * (8 + 4)


def test_a_file_of_another_size_is_begun_anew(tmp_path: Path) -> None:
    states(tmp_path).mark(2)
    assert states(tmp_path).done == 2
    other = HiddenStates(tmp_path, [*LENGTHS, 1], 8, torch.float32, resident=0)
    assert other.done == 0


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"done": null}'])
def test_a_damaged_mark_is_as_none(tmp_path: Path, content: str) -> None:
    states(tmp_path)
    (tmp_path / "state.json").write_text(content)
    assert states(tmp_path).done == 0


def test_room_is_made_of_those_used_longest_ago(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "older", "oldest")):
        states(tmp_path / name)
        os.utime(tmp_path / name / VALUES, (1000 - age, 1000 - age))
    (tmp_path / "stray").write_text("no folder")
    size = bytes_wanted(LENGTHS, 8, torch.float32)
    make_room(tmp_path, tmp_path / "wanted", 3 * size)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "older", "oldest", "stray"}
    make_room(tmp_path, tmp_path / "wanted", 2 * size)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "older", "stray"}
    with FileLock(tmp_path / "older" / LOCK):
        make_room(tmp_path, tmp_path / "wanted", size)
    assert {path.name for path in tmp_path.iterdir()} == {"older", "stray"}
    make_room(tmp_path, tmp_path / "older", 0)
    assert {path.name for path in tmp_path.iterdir()} == {"older", "stray"}
    make_room(tmp_path / "nowhere", tmp_path / "wanted", 0)
