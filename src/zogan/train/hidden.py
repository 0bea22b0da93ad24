"""Hidden states of many rows in one file, unpadded, mapped into memory."""

from __future__ import annotations

import json
import mmap
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from jaxtyping import Float
from torch import Tensor

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "int8": torch.int8}

VALUES, STATE, LOCK = "values", "state.json", ".lock"

_TOUCHED_AT_MOST = 2**25
"""Bytes that come into memory before they are let go of."""

_NOT_OURS = (OSError, ValueError, TypeError, LookupError, AttributeError)
"""What a mark raises that can be read, and says something else."""


def bytes_wanted(lengths: Sequence[int], dim: int, dtype: torch.dtype) -> int:
    """Size of the file for rows of these lengths, in tokens."""
    scale = 4 if dtype == torch.int8 else 0
    return sum(lengths) * (dim * dtype.itemsize + scale)


def known(folder: Path) -> tuple[int, torch.dtype] | None:
    """`dim` and dtype of the states that a folder was begun for; None where it was not."""
    with suppress(*_NOT_OURS):
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        dtype = getattr(torch, str(state["computed"]).removeprefix("torch."))
        if isinstance(dtype, torch.dtype) and isinstance(state["dim"], int):
            return state["dim"], dtype
    return None


class HiddenStates:
    """A folder with what enters a layer for each token of each row.

    int8 holds a token's values as multiples of its own scale, the largest of them over 127 (arXiv:2208.07339, one
    scale a row of the matrix); the other dtypes hold them rounded.

    Args:
        folder: made if need be.
        lengths: tokens of each row.
        dim: of a hidden state.
        dtype: that they are kept in; int8 included.
        computed: the dtype that they come in, and are read in.
        resident: how many bytes may stay in memory between reads.
    """

    def __init__(
        self,
        folder: Path,
        lengths: Sequence[int],
        dim: int,
        dtype: torch.dtype,
        computed: torch.dtype = torch.float32,
        *,
        resident: int,
    ) -> None:
        self.folder, self.lengths, self.dim, self.dtype, self.computed = folder, list(lengths), dim, dtype, computed
        self._starts = np.concatenate([[0], np.cumsum(self.lengths)]).tolist()
        tokens, size = self._starts[-1], bytes_wanted(lengths, dim, dtype)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / VALUES
        if not path.is_file() or path.stat().st_size != size:
            path.unlink(missing_ok=True)
            (folder / STATE).unlink(missing_ok=True)
            with path.open("wb") as file:
                file.truncate(size)
        self._map = np.memmap(path, dtype=np.uint8, mode="r+", shape=(size,))
        whole = torch.from_numpy(self._map)
        values = tokens * dim * dtype.itemsize
        self._values = whole[:values].view(dtype).view(tokens, dim)  # (tokens, dim)
        self._scales = whole[values:].view(torch.float32) if dtype == torch.int8 else None  # (tokens,)
        self.resident, self._drops = resident, size > resident
        self._touched = 0

    @property
    def done(self) -> int:
        """Batches that are written, of those that were to be."""
        with suppress(*_NOT_OURS):
            return int(json.loads((self.folder / STATE).read_text(encoding="utf-8"))["done"])
        return 0

    def mark(self, done: int) -> None:
        """Say that so many batches are written, once they are on disk."""
        self._map.flush()
        partial = self.folder / (STATE + ".partial")
        state = {"done": done, "dim": self.dim, "computed": str(self.computed)}
        partial.write_text(json.dumps(state), encoding="utf-8")
        partial.replace(self.folder / STATE)
        self._drop()

    def write(self, rows: Sequence[int], hidden: Float[Tensor, "rows time dim"]) -> None:
        """Keep what was captured of a batch; padding stands on the right, and is left out."""
        for row, states in zip(rows, hidden.detach(), strict=True):
            start, stop = self._starts[row], self._starts[row + 1]
            states = states[: stop - start].cpu()  # (tokens, dim)
            self._touch(stop - start)
            if self._scales is None:
                self._values[start:stop] = states.to(self.dtype)
                continue
            scales = states.float().abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / 127
            self._values[start:stop] = (states.float() / scales[:, None]).round().to(torch.int8)
            self._scales[start:stop] = scales

    def read(self, rows: Sequence[int], *, packed: bool = False) -> Float[Tensor, "_ time dim"]:
        """The rows' hidden states, padded on the right with zeros; packed, behind one another as one row."""
        dtype, lengths = self.computed, [self.lengths[row] for row in rows]
        found = torch.zeros(1 if packed else len(rows), sum(lengths) if packed else max(lengths), self.dim, dtype=dtype)
        flat, width = found.view(-1, self.dim), found.shape[1]
        begins = np.cumsum([0, *lengths]) if packed else np.arange(len(rows)) * width
        for place, row in enumerate(rows):
            start, stop = self._starts[row], self._starts[row + 1]
            states = self._values[start:stop].to(dtype)
            if self._scales is not None:
                states = states * self._scales[start:stop, None].to(dtype)
            flat[begins[place] : begins[place] + stop - start] = states
            self._touch(stop - start)
        return found

    def _touch(self, tokens: int) -> None:
        self._touched += tokens * self.dim * self.dtype.itemsize
        if self._touched > _TOUCHED_AT_MOST:
            self._drop()

    def _drop(self) -> None:
        """Let go of pages; the system keeps what is written, and reads it again when it is asked for."""
        self._touched = 0
        if self._drops and hasattr(mmap, "MADV_DONTNEED"):
            self._map._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


class SomeStates:
    """The hidden states of some of the rows that others are kept with.

    Args:
        states: of all of them.
        rows: their places there.
    """

    def __init__(self, states: HiddenStates, rows: Sequence[int]) -> None:
        self.states, self.rows = states, list(rows)

    def read(self, rows: Sequence[int], *, packed: bool = False) -> Float[Tensor, "_ time dim"]:
        """See `HiddenStates`."""
        return self.states.read([self.rows[row] for row in rows], packed=packed)


States = HiddenStates | SomeStates
"""What a feed reads hidden states from."""


def make_room(folder: Path, but: Path, limit: int) -> None:
    """Delete the caches in `folder` that were used longest ago, until the others keep within `limit` bytes.

    `but` stays, and so does one that another process has locked.
    """
    entries: list[tuple[float, int, Path]] = []
    for entry in folder.iterdir() if folder.is_dir() else ():
        values = entry / VALUES
        if values.is_file() and entry != but:
            entries.append((values.stat().st_mtime, values.stat().st_size, entry))
    total = sum(size for _, size, _ in entries)
    for _, size, entry in sorted(entries):
        if total <= limit:
            return
        with suppress(Timeout, OSError), FileLock(entry / LOCK, blocking=False):
            shutil.rmtree(entry)
            total -= size
