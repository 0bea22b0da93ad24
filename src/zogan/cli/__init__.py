"""The command line: parse, call, print."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit code.

    0 done, 1 a fault, 2 bad input, 3 not accepted (--gate) or refused by the policy, 4 an integrity check, 130 Ctrl-C.
    """
    from zogan.cli.app import run

    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))
