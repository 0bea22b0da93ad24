"""Digests that are kept, so that files which have not changed are not read again."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from zogan.progress import Progress
from zogan.weights import Fingerprint, fingerprint, headers, weight_files, whole_digest

_FORMAT = 1
_SETTLED_NS = 2 * 10**9
"""An entry is believed only if it is younger than its files by this: coarser clocks of file systems than that are
unknown, and a file written twice within one tick looks unchanged."""


def default_cache() -> Path:
    """The user's cache folder."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("zogan"))


def folder_fingerprint(folder: Path, cache: Path, progress: Progress) -> Fingerprint:
    """`weights.fingerprint`, read from the cache where no weight file has changed since.

    A file counts as unchanged while its size, inode and times of change are the same. A cache that cannot be
    written is done without.
    """
    files = weight_files(folder)
    entry = _entry(cache, "fingerprints", folder)
    known = _read(entry, files)
    if known is not None:
        tensors = known.get("tensors")
        if isinstance(tensors, dict) and tensors.keys() == headers(folder).keys():
            whole = whole_digest(tensors)
            if whole == known.get("whole"):
                return Fingerprint(whole, tensors)
    before = _stats(files)
    found = fingerprint(folder, progress=progress)
    _write(entry, files, before, {"whole": found.whole, "tensors": found.tensors})
    return found


def file_digest(file: Path, cache: Path) -> str:
    """SHA-256 of a file's bytes, in hex, read from the cache where the file has not changed since."""
    entry = _entry(cache, "files", file)
    known = _read(entry, [file])
    if known is not None and isinstance(known.get("sha256"), str):
        return str(known["sha256"])
    before = _stats([file])
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    _write(entry, [file], before, {"sha256": digest})
    return digest


def _entry(cache: Path, kind: str, path: Path) -> Path:
    return cache / kind / f"{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()}.json"


def _stats(files: Sequence[Path]) -> list[list[str | int]]:
    stats = [(file.name, file.stat()) for file in files]
    return [[name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino] for name, stat in stats]


def _read(entry: Path, files: Sequence[Path]) -> dict[str, Any] | None:
    try:
        tree = json.loads(entry.read_text(encoding="utf-8"))
        written = entry.stat().st_mtime_ns
    except (OSError, ValueError):
        return None
    stats = _stats(files)
    if not isinstance(tree, dict) or tree.get("format") != _FORMAT or tree.get("files") != stats:
        return None
    newest = max(max(file.stat().st_mtime_ns, file.stat().st_ctime_ns) for file in files)
    return tree if newest + _SETTLED_NS < written else None


def _write(entry: Path, files: Sequence[Path], before: list[list[str | int]], values: dict[str, Any]) -> None:
    if _stats(files) != before:
        return  # someone wrote while we read
    with suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=entry.parent, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump({"format": _FORMAT, "files": before, **values}, stream)
        Path(name).replace(entry)
