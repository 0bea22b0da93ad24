"""A patch file as a candidate: proved whole, and told in the words of an event."""

from __future__ import annotations

import json
from pathlib import Path

from zogan.registry.blobs import Blobs
from zogan.registry.event import Added, worded


def candidate(file: Path, blobs: Blobs, *, note: str | None) -> tuple[Added, tuple[str, ...]]:
    """Keep a patch's file, and say what it is.

    Args:
        file: the patch.
        blobs: where it is kept.
        note: words of the author's.

    Returns:
        The event's body, and the names of the tensors that it touches, sorted.

    Raises:
        IntegrityError: the file is damaged or hostile.
    """
    from zogan.patch import describe

    found = describe(file)
    touched = sorted({one.name for one in (*found.changes, *found.tensors, *found.adapters)})
    task = found.task.get("name", found.task.get("task"))
    labels = found.task.get("labels")
    kept = {"patch": blobs.put(file), "tensors": blobs.put(dumps(touched))}
    with worded():
        body = Added(
            patch=found.digest,
            base=found.base,
            parent=found.parent,
            task=None if task is None else str(task),
            labels=tuple(map(str, labels)) if isinstance(labels, list) else (),
            changed=found.changed,
            weights=found.base_weights,
            bytes=found.file_bytes,
            new=bool(found.tensors),
            hashes=found.hashes,
            tools=found.tools,
            note=note,
            blobs=kept,
        )
    return body, tuple(touched)


def dumps(touched: list[str]) -> bytes:
    """The one text of a list of tensors, whose SHA-256 names it."""
    return json.dumps(touched, ensure_ascii=False, separators=(",", ":")).encode()
