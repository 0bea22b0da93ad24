"""Positions as bytes: gaps in Rice code, then zstd. `docs/patch-format.md` says it bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import zstandard
from jaxtyping import Int64
from torch import Tensor

LARGEST = 2**48
"""More weights than this in one tensor are taken for a lie."""

_LEVEL = 3  # the Rice code is as good as random; zstd is here for runs, which any level finds


def encode(positions: Int64[Tensor, " n"]) -> bytes:
    """Code flat positions, strictly increasing, at least one. Random ones take 1.01 to 1.03 of their entropy.

    A gap is the number of weights left out before a position: the first gap is the first position itself. Each gap
    is `quotient * 2**k + remainder`, with one `k` for all (S. W. Golomb, "Run-length encodings", 1966; R. F. Rice,
    1979).
    """
    gaps = np.diff(positions.cpu().numpy(), prepend=-1) - 1  # (n,)
    k = _shift(gaps)
    remainders = np.empty((len(gaps), k), dtype=np.uint8)
    for bit in range(k):
        remainders[:, bit] = (gaps >> bit) & 1
    ends = np.cumsum((gaps >> k) + 1) - 1  # (n,) where each quotient's closing one stands
    quotients = np.zeros(int(ends[-1]) + 1, dtype=np.uint8)
    quotients[ends] = 1
    content = b"".join((bytes([k]), _pack(remainders.reshape(-1)), _pack(quotients)))
    # The parameters are those that make the same bytes of the same content, whatever the library's defaults become.
    coder = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=False, write_content_size=True, write_dict_id=False)
    return coder.compress(content)


def decode(data: bytes, count: int, numel: int) -> Int64[Tensor, " n"]:
    """Take positions back from bytes that may be hostile: no more than about `80 * count` bytes are ever made.

    Args:
        data: what `encode` gave.
        count: how many positions there must be.
        numel: weights in the tensor; every position is below.

    Raises:
        ValueError: with the fault.
    """
    content = np.frombuffer(_decompress(data, limit=8 * count + 2), dtype=np.uint8)
    k = int(content[0]) if len(content) else 255
    if k > 48:
        raise ValueError(f"positions: the Rice parameter, {k}, is over 48")
    cut = 1 + (count * k + 7) // 8
    remainder_bits = np.unpackbits(content[1:cut], bitorder="little")
    quotient_bits = np.unpackbits(content[cut:], bitorder="little")
    if len(content) <= cut or remainder_bits[count * k :].any() or not quotient_bits[-8:].any():
        raise ValueError(f"positions: the content is not as long as {count} gaps need")
    ends = np.flatnonzero(quotient_bits)  # (n,)
    if len(ends) != count:
        raise ValueError(f"positions: {len(ends)} gaps, where {count} values stand")
    gaps = np.diff(ends, prepend=-1) - 1
    if gaps.max() > numel >> k:
        raise ValueError(f"positions: one is not below {numel}")
    gaps <<= k
    bits = remainder_bits[: count * k].reshape(count, k)
    for bit in range(k):
        gaps |= bits[:, bit].astype(np.int64) << bit
    positions = np.cumsum(gaps + 1) - 1
    # No gap reaches 2**50, so a sum that runs over int64 has been seen too large before it wraps.
    if positions.max() >= numel or positions.min() < 0:
        raise ValueError(f"positions: one is not below {numel}")
    return torch.from_numpy(positions)


def _shift(gaps: npt.NDArray[np.int64]) -> int:
    """The smallest `k` of the fewest bits; their number falls, then rises with k."""
    best = len(gaps) + int(gaps.sum())
    for k in range(1, 49):
        bits = len(gaps) * (k + 1) + int((gaps >> k).sum())
        if bits >= best:
            return k - 1
        best = bits
    return 48


def _pack(bits: npt.NDArray[np.uint8]) -> bytes:
    return np.packbits(bits, bitorder="little").tobytes()


def _decompress(data: bytes, *, limit: int) -> Any:
    try:
        size = zstandard.get_frame_parameters(data).content_size
        if size > limit:
            told = "does not say how long it is" if size == zstandard.CONTENTSIZE_UNKNOWN else f"takes {size} bytes"
            raise ValueError(f"positions: the content {told}, {limit} are the most that the values allow")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=limit, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ValueError(f"positions: no zstd frame ({error})") from None
