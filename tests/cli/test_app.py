"""The commands as a whole: help, documentation, misspellings, exit codes, and a quick start."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.main import get_command

import zogan
from zogan.cli import main
from zogan.cli.app import app, run

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"
SHARED = {"--json", "--quiet", "-q", "--debug", "--help", "-h"}


def commands(group: object = None, name: str = "zogan") -> Iterator[tuple[str, typer.core.TyperCommand]]:
    """Every command with its whole name."""
    group = group or get_command(app)
    for key, command in getattr(group, "commands", {}).items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} {key}")
        else:
            yield f"{name} {key}", command


NAMES = [name for name, _ in commands()]
HEADINGS = re.findall(r"^## (zogan .*)$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)


def groups(group: object, name: str) -> Iterator[str]:
    """The whole name of every group of commands."""
    for key, command in getattr(group, "commands", {}).items():
        if hasattr(command, "commands"):
            yield f"{name} {key}"
            yield from groups(command, f"{name} {key}")


GROUPS = list(groups(get_command(app), "zogan"))


def section(name: str) -> str:
    """A command's section, and where its group has one, with the options that its commands share, that too."""
    shared = "".join(own_section(group) for group in GROUPS if name.startswith(f"{group} ") and group in HEADINGS)
    return own_section(name) + shared


def own_section(name: str) -> str:
    found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", DOCS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found, f"docs/cli.md has no section '## {name}'"
    return found[1]


def test_the_commands_are_those_that_are_documented() -> None:
    assert sorted(set(HEADINGS) - set(GROUPS)) == sorted(NAMES)


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=NAMES)
def test_each_command_has_help_and_its_example_is_documented(name: str, command: typer.core.TyperCommand) -> None:
    assert command.help
    assert command.epilog
    example = command.epilog.removeprefix("Example: ")
    assert f"{example} ".startswith(f"{name} ")
    assert example in section(name)


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=NAMES)
def test_each_option_is_documented(name: str, command: typer.core.TyperCommand) -> None:
    options = {
        option for param in command.params for option in (*param.opts, *param.secondary_opts) if option[0] == "-"
    }
    for option in options - SHARED:
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", section(name)), option
    assert all(getattr(param, "help", None) for param in command.params if param.name != "help")


@pytest.mark.parametrize("name", NAMES)
def test_each_command_prints_its_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*name.split()[1:], "--help"]) == 0
    out = capsys.readouterr().out
    assert "Usage: " in out
    assert "Example: " in out


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"zogan {zogan.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["pilt"], "error: No such command 'pilt'. Did you mean 'pilot'? See `zogan --help`"),
        (["patch", "aply"], "error: No such command 'aply'. Did you mean 'apply'? See `zogan patch --help`"),
        (["tune", "--quite"], "--quiet"),
        (["report"], "error: Missing argument 'RUN'"),
        (["demo", "translation"], "error: Invalid value for"),
    ],
)
def test_a_misspelt_command_line_is_one_line_with_a_hint(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert line in printed.err
    assert printed.err.count("\n") == 1


def test_a_misspelt_command_line_is_json_where_json_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "--json"]) == 2
    told = json.loads(capsys.readouterr().err)
    assert told["exit_code"] == 2
    assert "RUN" in told["error"]


@pytest.mark.parametrize("group", [[], ["patch"], ["data"]])
def test_a_group_alone_shows_its_help(group: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(group) == 2
    printed = capsys.readouterr()
    assert "Usage: " in printed.out + printed.err


def test_main_leaves_with_the_exit_code() -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from zogan.cli.app import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "transformers", "numpy", "matplotlib", "scipy", "sklearn", "jinja2", "safetensors", "pydantic"}
    assert not heavy & set(done.stderr.split())


def test_a_closed_pipe_is_no_fault(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "zogan", "init", str(tmp_path)]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert done.stderr == ""
    assert done.returncode == 1
