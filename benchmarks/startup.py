"""Claim: `zogan --help` answers in under half a second, for heavy imports come late.

python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 9


def main() -> None:
    command = [sys.executable, "-m", "zogan", "--help"]
    taken = []
    for count in range(ROUNDS + 1):
        start = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        if count:  # the first reads the disk
            taken.append(time.perf_counter() - start)
    print(f"zogan --help: {statistics.median(taken):.2f} s (median of {ROUNDS}, {min(taken):.2f} to {max(taken):.2f})")


if __name__ == "__main__":
    main()
