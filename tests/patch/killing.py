"""Kill in-place commands with SIGKILL at random instants; print what each left, as JSON. Run by test_journal.py.

Its own process, so that it may fork: importing torch once for each of the kills would take minutes.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from tiny_patch import make_base, make_patch, snapshot
from zogan.errors import ZoganError
from zogan.patch.folder import apply_folder, revert_folder
from zogan.patch.journal import pending, recover

SHAPES = {f"layer.{i}.weight": (512, 512) for i in range(12)}


def seal(folder: Path) -> str:
    return hashlib.sha256(repr(sorted(snapshot(folder).items())).encode()).hexdigest()


def main(root: Path, kills: int) -> None:
    torch.set_num_threads(1)
    folder = make_base(root / "base", torch.bfloat16, SHAPES, shards=3)
    patch = root / "p.safetensors"
    make_patch(folder, 0.05, head=True, adapter=True).save(patch)
    old = seal(folder)
    started = time.monotonic()
    apply_folder(patch, folder, in_place=True)
    seconds = time.monotonic() - started
    new = seal(folder)
    chance = random.Random(0)
    states = {old: "old", new: "new"}
    state = "new"
    for turn in range(kills):
        act = revert_folder if state == "new" else apply_folder
        child = os.fork()
        if child == 0:
            try:
                act(patch, folder, in_place=True)
            finally:
                os._exit(0)
        if turn % 2:  # from when the journal is there, so that as many kills fall into the writing
            while not pending(folder) and not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                time.sleep(0.0005)
            time.sleep(chance.uniform(0, 0.4 * seconds))
        else:
            time.sleep(chance.uniform(0, 1.1 * seconds))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        left = pending(folder)
        try:
            sentence = recover(folder)
        except ZoganError as error:
            sentence = f"refused: {error}"
        was, state = state, states.get(seal(folder), "neither")
        killed = os.WIFSIGNALED(status)
        line = json.dumps({"was": was, "killed": killed, "left": left, "sentence": sentence, "state": state})
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        if state == "neither":
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
