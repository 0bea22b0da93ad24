"""A bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import io

import pytest

from zogan.cli.progress import Bars, Lines, clock_time


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_lines_come_every_ten_seconds_with_figures_and_time_left() -> None:
    stream, clock = io.StringIO(), Clock()
    lines = Lines(stream, clock)
    lines.start("tune", 1000)
    for second in range(26):
        clock.now = float(second)
        lines.advance(second * 10, loss=1.23456, rate=0.003)
    assert stream.getvalue().splitlines() == [
        "tune: 100 of 1,000 (10 %), loss 1.235, rate 0.003, about 1 min 30 s left",
        "tune: 200 of 1,000 (20 %), loss 1.235, rate 0.003, about 1 min 20 s left",
    ]


def test_work_from_before_a_restart_does_not_shorten_the_time_left() -> None:
    stream, clock = io.StringIO(), Clock()
    lines = Lines(stream, clock)
    lines.start("tune", 1000)
    lines.advance(900)
    clock.now = 10.0
    lines.advance(910)
    assert stream.getvalue() == "tune: 910 of 1,000 (91 %), about 1 min 30 s left\n"


def test_a_stage_without_size_prints_no_lines() -> None:
    stream, clock = io.StringIO(), Clock()
    lines = Lines(stream, clock)
    lines.start("empty", 0)
    clock.now = 100.0
    lines.advance(0)
    lines.stop()
    assert stream.getvalue() == ""


def test_a_bar_appears_when_a_stage_lasts_and_goes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    clock = Clock()
    bars = Bars(clock)
    bars.start("tune", 10)
    bars.advance(1, loss=2.0)
    assert capsys.readouterr().err == ""
    clock.now = 2.0
    bars.advance(5, loss=1.5)
    bars.note("a [note]")
    bars.start("evaluate", 10)
    err = capsys.readouterr().err
    assert "tune" in err
    assert "loss 1.5" in err
    assert "a [note]" in err
    bars.stop()


@pytest.mark.parametrize(("seconds", "text"), [(-1, "0 s"), (45.2, "45 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_times(seconds: float, text: str) -> None:
    assert clock_time(seconds) == text
