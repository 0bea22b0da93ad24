"""Positions come back as they were, near their entropy, and bytes made to harm are refused."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tiny_patch import generator
from zogan.patch.positions import LARGEST, decode, encode


def entropy_bytes(count: int, numel: int) -> float:
    p = count / numel
    return numel * -(p * math.log2(p) + (1 - p) * math.log2(1 - p)) / 8


@given(st.sets(st.integers(0, 5000), min_size=1), st.integers(1, 10**6))
def test_round_trip(chosen: set[int], scale: int) -> None:
    flat = torch.tensor(sorted(chosen)) * scale
    assert torch.equal(decode(encode(flat), len(flat), int(flat[-1]) + 1), flat)


@pytest.mark.parametrize("flat", [[0], [LARGEST - 1], [0, LARGEST - 1], [LARGEST - 3, LARGEST - 1]])
def test_ends_of_the_range(flat: list[int]) -> None:
    assert decode(encode(torch.tensor(flat)), len(flat), LARGEST).tolist() == flat


@pytest.mark.parametrize(("mean", "numel"), [(20, 1536 * 384), (200, 1536 * 384), (2000, 1536 * 384), (200, 384 * 384)])
def test_near_entropy(mean: int, numel: int) -> None:
    flat = torch.randperm(numel, generator=generator(0))[: numel // mean].sort().values
    assert len(encode(flat)) <= 1.05 * entropy_bytes(len(flat), numel)


def test_all_positions_and_whole_rows_take_next_to_nothing() -> None:
    assert len(encode(torch.arange(10**6))) < 64
    rows = torch.arange(0, 30_000, 200)
    assert len(encode((rows[:, None] * 384 + torch.arange(384)).reshape(-1))) < 1000


def frame(k: int, remainders: str, quotients: str) -> bytes:
    """A content made by hand: bits as they fill the bytes."""

    def pack(bits: str) -> bytes:
        return np.packbits(np.array([int(bit) for bit in bits], dtype=np.uint8), bitorder="little").tobytes()

    return zstandard.compress(bytes([k]) + pack(remainders) + pack(quotients))


GOOD = frame(3, "010011000110010", "1110010001")


def test_made_by_hand() -> None:
    assert decode(GOOD, 5, 58).tolist() == [2, 9, 10, 30, 57]
    assert encode(torch.tensor([2, 9, 10, 30, 57])) == GOOD


@pytest.mark.parametrize(
    ("data", "count", "numel", "fault"),
    [
        (GOOD, 5, 57, "one is not below 57"),
        (frame(3, "010011000110010", "1110010001001"), 5, 580, "6 gaps, where 5 values stand"),
        (GOOD, 6, 58, "the content is not as long as 6 gaps need"),
        (GOOD + b"x", 5, 58, "no zstd frame"),
        (GOOD + GOOD, 5, 58, "no zstd frame"),
        (GOOD[:-1], 5, 58, "no zstd frame"),
        (b"", 5, 58, "no zstd frame"),
        (b"junk", 5, 58, "no zstd frame"),
        (zstandard.compress(b""), 5, 58, "the Rice parameter, 255, is over 48"),
        (frame(49, "", "1"), 1, 58, "the Rice parameter, 49, is over 48"),
        (frame(3, "0100110001100101", "1110010001"), 5, 58, "not as long as"),
        (frame(3, "010011000110010", "111001000100000000"), 5, 58, "not as long as"),
        (frame(3, "010011000110010", ""), 5, 58, "not as long as"),
        (frame(0, "", "0000000001"), 1, 9, "one is not below 9"),
        (frame(48, "1" * 48, "0001"), 1, LARGEST, "one is not below"),
        (frame(48, "1" * 48 * 2, "11"), 2, LARGEST, "one is not below"),
    ],
)
def test_refused(data: bytes, count: int, numel: int, fault: str) -> None:
    with pytest.raises(ValueError, match=re.escape(fault)):
        decode(data, count, numel)


def test_a_bomb_is_refused_by_what_it_states() -> None:
    bomb = zstandard.compress(bytes(2**28))
    assert len(bomb) < 2**15
    with pytest.raises(ValueError, match="takes 268435456 bytes, 42 are the most"):
        decode(bomb, 5, 58)
    silent = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(2**20))
    with pytest.raises(ValueError, match="does not say how long it is"):
        decode(silent, 5, 58)


def test_a_sum_that_runs_over_is_refused() -> None:
    # 2**17 gaps of nearly 2**48 each add up to more than int64 holds.
    count, k = 2**17, 47
    content = bytes([k]) + b"\xff" * (count * k // 8) + b"\xaa" * (count // 4)
    with pytest.raises(ValueError, match="one is not below"):
        decode(zstandard.compress(content), count, LARGEST)


@given(st.binary(max_size=40), st.integers(1, 20), st.integers(1, 1000))
def test_any_content_is_refused_or_gives_sorted_positions(content: bytes, count: int, numel: int) -> None:
    try:
        flat = decode(zstandard.compress(content), count, numel)
    except ValueError:
        return
    assert len(flat) == count
    assert flat[0] >= 0
    assert flat[-1] < numel
    assert bool((flat.diff() > 0).all())
