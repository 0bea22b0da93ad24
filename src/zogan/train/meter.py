"""What a stage costs: wall time and peak memory; and how much of what it freed the process keeps."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

_M_MMAP_THRESHOLD = -3
"""mallopt's name for the size from which a block is mapped on its own."""


@dataclass(frozen=True)
class Cost:
    """Cost of a stage.

    Attributes:
        wall_seconds: from start to end.
        peak_bytes: largest resident memory of the process meanwhile, with what it held before; on a GPU the largest
            allocation there is added.
    """

    wall_seconds: float
    peak_bytes: int


class Meter:
    """Measures a `with` block; `cost` stands after it.

    Attributes:
        cost: of the block.
        resettable: whether the peak is the block's own; where not, it is the process's so far.
    """

    cost: Cost
    resettable: bool

    def __enter__(self) -> Meter:
        self.resettable = _reset_peak()
        self._start = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cost = Cost(time.perf_counter() - self._start, _peak_bytes(self.resettable) + _device_peak())


def growth(run: Callable[[], object]) -> int:
    """Bytes by which the peak passes what the process holds before, with what its allocator cannot use again meanwhile.

    0 where the system does not count the peak of a part of a program.

    Args:
        run: what is measured.
    """
    trim()  # so that nothing of what is needed is there already
    before = resident() + _device_held()
    with Meter() as meter:
        run()
    return max(meter.cost.peak_bytes - before, 0) if meter.resettable else 0


def resident() -> int:
    """Bytes of the process that are in memory now."""
    return int(psutil.Process().memory_info().rss)


def trim() -> None:
    """Give what was freed back to the system, where the C library can."""
    gc.collect()
    if (found := _malloc("malloc_trim")) is not None:
        found(0)


def give_back() -> None:
    """From now on blocks of a megabyte or more go back to the system when they are freed.

    glibc keeps blocks of up to 32 MB for later, and rows of many lengths leave holes between them. Without, small steps
    are faster. Nothing happens where the user has set malloc's options, or where the C library is another.
    """
    if "GLIBC_TUNABLES" in os.environ or any(name.startswith("MALLOC_") for name in os.environ):
        return
    if (option := _malloc("mallopt")) is not None:
        option(_M_MMAP_THRESHOLD, 2**20)


def _malloc(name: str) -> Callable[..., int] | None:
    """A function of glibc's allocator; None where there is none."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def _reset_peak() -> bool:
    """Let Linux count the peak anew; False where it cannot, and the peak is the process's so far."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _peak_bytes(resettable: bool) -> int:
    if resettable:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _device_held() -> int:
    torch = sys.modules.get("torch")
    return int(torch.cuda.memory_allocated()) if torch is not None and torch.cuda.is_available() else 0


def _device_peak() -> int:
    torch = sys.modules.get("torch")
    return int(torch.cuda.max_memory_allocated()) if torch is not None and torch.cuda.is_available() else 0
