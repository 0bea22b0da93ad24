"""What a stage costs: seconds as they pass, and the peak of memory meanwhile."""

from __future__ import annotations

import mmap
import os
import re
import resource
import sys
import time
from pathlib import Path

import pytest

from zogan.train import meter
from zogan.train.meter import Cost, Meter, give_back, growth


def take_and_free(size: int) -> None:
    # Mapped anew: what malloc gives may have been the process' own before.
    with mmap.mmap(-1, size) as fresh:
        for _ in range(size // 1_000_000):
            fresh.write(b"x" * 1_000_000)


def test_seconds_are_those_between_start_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([3.0, 5.5])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    with Meter() as measured:
        pass
    assert measured.cost.wall_seconds == 2.5


def test_the_peak_holds_what_was_freed_again() -> None:
    with Meter() as small:
        pass
    with Meter() as large:
        take_and_free(300_000_000)
    assert large.cost.peak_bytes >= small.cost.peak_bytes + 250_000_000


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux counts the peak anew")
def test_each_stage_has_a_peak_of_its_own() -> None:
    with Meter() as large:
        take_and_free(300_000_000)
    with Meter() as small:
        pass
    assert small.cost.peak_bytes <= large.cost.peak_bytes - 250_000_000


def test_without_a_peak_to_reset_it_is_the_process_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object) -> int:
        raise PermissionError

    monkeypatch.setattr(Path, "write_text", refuse)
    with Meter() as measured:
        pass
    assert measured.cost.peak_bytes == resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize(("platform", "peak_bytes"), [("linux", 7 * 1024), ("darwin", 7)])
def test_the_unit_is_the_platforms(monkeypatch: pytest.MonkeyPatch, platform: str, peak_bytes: int) -> None:
    class Usage:
        ru_maxrss = 7

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(resource, "getrusage", lambda who: Usage)
    assert meter._peak_bytes(resettable=False) == peak_bytes


def test_a_gpu_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cuda:
        peak = 100

        def is_available(self) -> bool:
            return True

        def reset_peak_memory_stats(self) -> None:
            self.peak = 0

        def max_memory_allocated(self) -> int:
            return self.peak

    class Torch:
        cuda = Cuda()

    monkeypatch.setitem(sys.modules, "torch", Torch())
    monkeypatch.setattr(meter, "_peak_bytes", lambda resettable: 1)
    with Meter() as measured:
        Torch.cuda.peak += 40
    assert measured.cost == Cost(measured.cost.wall_seconds, 41)


def test_without_torch_nothing_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(meter, "_peak_bytes", lambda resettable: 1)
    with Meter() as measured:
        pass
    assert measured.cost.peak_bytes == 1


def test_a_stage_that_fails_has_its_cost_and_its_error() -> None:
    measured = Meter()
    with pytest.raises(ValueError, match=re.escape("no luck")), measured:
        raise ValueError("no luck")
    assert measured.cost.wall_seconds > 0


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux counts the peak anew")
def test_growth_is_what_a_run_takes_more_than_there_is() -> None:
    held = bytearray(200_000_000)
    assert growth(lambda: take_and_free(300_000_000)) == pytest.approx(300_000_000, rel=0.1)
    assert growth(lambda: None) < 20_000_000
    assert len(held) == 200_000_000


@pytest.mark.parametrize(
    ("environment", "called"),
    [({}, True), ({"MALLOC_ARENA_MAX": "2"}, False), ({"GLIBC_TUNABLES": "glibc.malloc.check=1"}, False)],
)
def test_the_allocator_gives_back_unless_the_user_has_set_it(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], called: bool
) -> None:
    for name in list(os.environ):
        if name.startswith("MALLOC_") or name == "GLIBC_TUNABLES":
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    calls: list[tuple[int, ...]] = []
    monkeypatch.setattr(meter, "_malloc", lambda name: lambda *given: calls.append(given))
    give_back()
    assert bool(calls) is called
