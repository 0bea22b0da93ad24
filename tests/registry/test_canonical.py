"""Canonical JSON is known as quickly as surely: Python's text counts only where it is the library's."""

from __future__ import annotations

import json

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from zogan.registry.canonical import dumps, is_canonical

NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e15, 1e15)
TREES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(TREES)
def test_what_the_library_writes_is_canonical(tree: object) -> None:
    try:
        written = dumps(tree)
    except rfc8785.CanonicalizationError:  # a lone surrogate
        return
    assert is_canonical(written)
    assert not is_canonical(written + b" ")


@settings(deadline=None)
@given(TREES)
def test_what_python_writes_is_judged_as_the_library_does(tree: object) -> None:
    for written in (json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False), json.dumps(tree)):
        try:
            content = written.encode()
            same = dumps(tree) == content
        except (ValueError, rfc8785.CanonicalizationError):
            continue
        assert is_canonical(content) == same


@pytest.mark.parametrize(
    "text",
    [
        '{"b":1,"a":2}',
        '{"a":1,"a":1}',
        "1.0",
        "-0",
        "-0.0",
        "1e5",
        "1e-07",
        "1E+21",
        "0.10",
        "9007199254740993",
        "NaN",
        "-Infinity",
        "1e999",
        '"\\u0041"',
        '"\\/"',
        '"\\u001F"',
        "[1, 2]",
        "[" * 100_000,
        "",
        '{"a":',
        "\ufeff1",
    ],
)
def test_nothing_else_is(text: str) -> None:
    assert not is_canonical(text.encode())


@pytest.mark.parametrize("text", ["1e-7", "1e+21", "5e-324", "0.1", "-1.5", '"\\u001f"', '"\u2028é"', "{}", "123"])
def test_what_is_rare_is_canonical_too(text: str) -> None:
    assert is_canonical(text.encode())


def test_bytes_that_are_no_text_are_not() -> None:
    assert not is_canonical(b"\xff\xfe")
