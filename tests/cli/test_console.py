"""Results on stdout, everything else on stderr, and errors as exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from zogan.cli.console import Console
from zogan.errors import IntegrityError


def test_a_result_is_text_or_json_and_never_both(capsys: pytest.CaptureFixture[str]) -> None:
    Console().result({"path": Path("a")}, "plain [bold]text[/bold] :smile:", "x" * 300)
    assert capsys.readouterr().out == "plain [bold]text[/bold] :smile:\n" + "x" * 300 + "\n"
    Console(as_json=True).result({"path": Path("あ")}, "plain")
    assert json.loads(capsys.readouterr().out) == {"path": "あ"}


def test_notes_go_to_stderr_unless_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    Console().note("look")
    Console(quiet=True).note("no")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "look\n")


def test_an_error_ends_the_command_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left, Console():
        raise IntegrityError("wrong base")
    assert left.value.exit_code == 4
    assert capsys.readouterr().err == "error: wrong base\n"


def test_debug_shows_the_traceback_first(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), Console(debug=True):
        raise ValueError("odd")
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.splitlines()[-1].startswith("error: ValueError: odd")


def test_an_interrupt_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left, Console():
        raise KeyboardInterrupt
    assert left.value.exit_code == 130
    assert capsys.readouterr().err == "interrupted; the same command goes on from what is done\n"


def test_an_error_is_json_where_json_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), Console(as_json=True):
        raise IntegrityError("wrong base")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert json.loads(printed.err) == {"error": "wrong base", "exit_code": 4}


def test_a_command_may_leave_with_its_own_code() -> None:
    with pytest.raises(typer.Exit) as left, Console():
        raise typer.Exit(2)
    assert left.value.exit_code == 2
