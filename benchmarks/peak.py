"""A zogan command in a process of its own, whose last word on stderr is the process' peak in bytes."""

from __future__ import annotations

import sys

# The kernel's own peak of this program: what getrusage gives would have the parent's in it.
MEASURE = (
    "import re, sys; from pathlib import Path; from zogan.cli.app import run; code = run(sys.argv[1:]);"
    "print(1024 * int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]), file=sys.stderr);"
    "sys.exit(code)"
)


def measured(*arguments: object) -> list[str]:
    """The command line of `zogan ARGUMENTS`."""
    return [sys.executable, "-c", MEASURE, *map(str, arguments)]
