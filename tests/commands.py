"""Run a command in this process, and hold it to what every command keeps."""

from __future__ import annotations

import json
from typing import Any

import pytest

from zogan.cli.app import run


def printed_json(arguments: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, Any]:
    """What a command prints with --json: one value on stdout, and nothing else there."""
    assert run([*arguments, "--json"]) == code
    tree = json.loads(capsys.readouterr().out)
    assert isinstance(tree, dict)
    return tree


def printed_text(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints for people."""
    assert run(arguments) == 0
    return capsys.readouterr().out


def failure(arguments: list[str], capsys: pytest.CaptureFixture[str], code: int = 2) -> str:
    """The one line of a command that fails, which is the same with --json, in JSON."""
    assert run([*arguments, "--quiet"]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert run([*arguments, "--quiet", "--json"]) == code
    as_json = capsys.readouterr()
    assert as_json.out == ""
    told = json.loads(as_json.err)
    assert told == {"error": printed.err.removeprefix("error: ").rstrip("\n"), "exit_code": code}
    return str(told["error"])
