"""A process' peak of memory, as the kernel has it; and a zogan command in a process of its own that says it.

python benchmarks/peak.py ARGUMENTS: `zogan ARGUMENTS`, whose last word on stderr is the peak in bytes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path


def measured(*arguments: object) -> list[str]:
    """The command line of `zogan ARGUMENTS`, measured."""
    return [sys.executable, __file__, *map(str, arguments)]


def peak_bytes() -> int:
    """Largest resident memory of this program so far: what getrusage gives would have the parent's in it."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found, "the kernel tells no peak"
    return 1024 * int(found[1])


def main() -> None:
    from zogan.cli.app import run

    code = run(sys.argv[1:])
    print(peak_bytes(), file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
