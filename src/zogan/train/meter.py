"""What a stage costs: wall time and peak memory."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType


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
    """Measures a `with` block; `cost` stands after it."""

    cost: Cost

    def __enter__(self) -> Meter:
        self._resettable = _reset_peak()
        self._start = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cost = Cost(time.perf_counter() - self._start, _peak_bytes(self._resettable) + _device_peak())


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


def _device_peak() -> int:
    torch = sys.modules.get("torch")
    return int(torch.cuda.max_memory_allocated()) if torch is not None and torch.cuda.is_available() else 0
