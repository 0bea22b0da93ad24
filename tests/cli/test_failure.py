"""Exceptions become one line and an exit code."""

from __future__ import annotations

import errno
import os

import pytest
import typer

from zogan.cli.failure import Failure, explain, report_failure, usage_failure
from zogan.errors import ConfigError, IntegrityError


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (ConfigError("bad key", where="zogan.yaml", todo="Mend it"), "zogan.yaml: bad key. Mend it", 2),
        (IntegrityError("wrong base", where="model"), "model: wrong base", 4),
        (KeyboardInterrupt(), "interrupted; the same command goes on from what is done", 130),
        (typer.Abort(), "interrupted; nothing was done", 130),
        (FileNotFoundError(errno.ENOENT, "No such", "a.txt"), "a.txt: no such file or folder", 2),
        (PermissionError(errno.EACCES, "denied", "a.txt"), "a.txt: you have no permission for this", 2),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "no space is left on the disk", 2),
        (OSError(errno.EIO, "Input/output error", "a"), "a: Input/output error", 2),
        (MemoryError(), "not enough memory. Lower train.batch_size", 2),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: x"), "not enough memory", 2),
        (ModuleNotFoundError("No module named 'peft'", name="peft"), "the package 'peft' is not installed", 2),
        (ValueError("two\n lines"), "ValueError: two lines. Run again with --debug for the traceback", 1),
        (AssertionError(), "AssertionError. Run again with --debug", 1),
        (OSError("strange"), "OSError: strange. Run again with --debug", 1),
    ],
)
def test_each_exception_has_its_line(error: BaseException, message: str, code: int) -> None:
    failure = explain(error)
    assert failure.message.startswith(message)
    assert failure.exit_code == code


def test_only_what_a_parser_raised_is_a_matter_of_usage() -> None:
    assert usage_failure(ValueError("x")) is None


def test_failures_are_printed_as_text_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert report_failure(Failure("日本語", 2), as_json=True) == 2
    assert capsys.readouterr().err == '{"error": "日本語", "exit_code": 2}\n'
    assert report_failure(Failure("what", 4), as_json=False) == 4
    assert capsys.readouterr().err == "error: what\n"
