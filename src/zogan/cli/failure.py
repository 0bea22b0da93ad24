"""What went wrong, as one line and an exit code."""

from __future__ import annotations

import errno
import json
import sys
from dataclasses import dataclass

from zogan.errors import ZoganError, one_line


@dataclass(frozen=True)
class Failure:
    """One line for the user, and the exit code that goes with it."""

    message: str
    exit_code: int


def explain(error: BaseException) -> Failure:
    """Say what an exception means to the user."""
    if isinstance(error, ZoganError):
        return Failure(str(error), error.exit_code)
    if type(error).__name__ == "Abort":  # typer's own, whichever version raised it: Ctrl-C at a question, or a no
        return Failure("interrupted; nothing was done", 130)
    if isinstance(error, KeyboardInterrupt):
        return Failure("interrupted; the same command goes on from what is done", 130)
    if isinstance(error, OSError) and (told := _system(error)):
        return Failure(told, 2)
    if _out_of_memory(error):
        todo = "Lower train.batch_size (or train.tokens_per_batch) or train.max_length, or close other programs"
        return Failure(f"not enough memory. {todo}", 2)
    if isinstance(error, ModuleNotFoundError):
        return Failure(f"the package {error.name!r} is not installed. See `pip install 'zogan[all]'`", 2)
    text = one_line(error)
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return Failure(f"{what}. Run again with --debug for the traceback", 1)


def usage_failure(error: Exception) -> Failure | None:
    """A command that cannot be parsed: typer's own exception, whichever version raised it; None for any other."""
    message, code = getattr(error, "format_message", None), getattr(error, "exit_code", None)
    if message is None or code is None:
        return None
    command = getattr(getattr(error, "ctx", None), "command_path", "zogan")
    if type(error).__name__ == "NoArgsIsHelpError":
        return Failure(f"a command is missing. See `{command} --help`", 2)
    text = " ".join(message().split())
    return Failure(f"{text}{'' if text.endswith(('.', '?', '!')) else '.'} See `{command} --help`", int(code))


def report_failure(failure: Failure, *, as_json: bool) -> int:
    """Print a failure on stderr, and give its exit code back."""
    if as_json:
        line = json.dumps({"error": failure.message, "exit_code": failure.exit_code}, ensure_ascii=False)
    else:
        word = "\x1b[1;31merror:\x1b[0m" if sys.stderr.isatty() else "error:"
        line = failure.message if failure.exit_code == 130 else f"{word} {failure.message}"
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
    return failure.exit_code


def _system(error: OSError) -> str | None:
    place = f"{error.filename}: " if error.filename is not None else ""
    known = {
        errno.ENOENT: "no such file or folder",
        errno.EACCES: "you have no permission for this",
        errno.EPERM: "you have no permission for this",
        errno.EROFS: "the disk can only be read",
        errno.EISDIR: "is a folder, not a file",
        errno.ENOTDIR: "is a file, not a folder",
        errno.EEXIST: "exists already",
        errno.ENOSPC: "no space is left on the disk",
        errno.EDQUOT: "your share of the disk is used up",
    }
    what = known.get(error.errno or 0) or error.strerror
    return f"{place}{what}" if what else None


def _out_of_memory(error: BaseException) -> bool:
    text = str(error)
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or (isinstance(error, RuntimeError) and ("can't allocate memory" in text or "out of memory" in text))
