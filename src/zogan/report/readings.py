"""What a probe read, named and shown in its unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zogan.evaluate.probes.reading import Unit
from zogan.report.words import Words


def reading_name(name: str, words: Words, say: Callable[..., Any], mark: Callable[[str], Any] = str) -> Any:
    """Of a reading, in the language; another package's has its own."""
    if words.has(f"reading.{name}"):
        return words(f"reading.{name}")
    probe, _, column = name.partition(".")
    return say("reading.groups.column", column=mark(column)) if probe == "groups" and column else mark(name)


def reading_value(value: float, unit: Unit, words: Words) -> str:
    """4.9 % or 0.031 nats"""
    if unit == "share":
        return words.percent(value)
    return _with(unit, words.number(value, 3), words)


def reading_span(low: float, high: float, unit: Unit, words: Words) -> str:
    """1.2 to 3.4 %"""
    factor, digits = (100, 1) if unit == "share" else (1, 3)
    span = words("unit.span", low=words.number(factor * low, digits), high=words.number(factor * high, digits))
    return words("unit.percent", value=span) if unit == "share" else _with(unit, span, words)


def _with(unit: Unit, text: str, words: Words) -> str:
    return text if unit == "plain" else words(f"unit.{unit}", value=text)
