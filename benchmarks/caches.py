"""A cache of one cell's own, so that nothing which an earlier run kept makes it cheaper."""

from __future__ import annotations

import os
from pathlib import Path

from zogan.models.cache import default_cache

SHARED = ("gguf", "files", "fingerprints")
"""Converted bases and their digests: a user pays for them once, whatever is tuned afterwards."""


def environment_apart(folder: Path) -> dict[str, str]:
    """Variables under which a process keeps calibration and prefix cache in the folder, which is made."""
    own = folder / "zogan"
    own.mkdir(parents=True)
    for name in SHARED:
        kept = default_cache() / name
        kept.mkdir(parents=True, exist_ok=True)
        (own / name).symlink_to(kept, target_is_directory=True)
    return {**os.environ, "XDG_CACHE_HOME": str(folder)}
