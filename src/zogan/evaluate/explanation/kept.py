"""explanation.json in a run's folder."""

from __future__ import annotations

from pathlib import Path

from zogan.errors import RunError
from zogan.evaluate.explanation.result import NAME, Explanation


def keep(run: Path, found: Explanation) -> Explanation:
    """Write explanation.json, whole or not at all.

    Rows that were asked for by themselves join what the file holds of the same patch; what stands there is replaced.

    Args:
        run: the folder.
        found: what was found now.

    Returns:
        What the file holds now.
    """
    known = kept(run, found.patch) if found.worth is None and not found.skipped else None
    if known is not None:
        new = {(one.row, one.text) for one in found.rows}
        rows = (*(one for one in known.rows if (one.row, one.text) not in new), *found.rows)
        found = known.model_copy(update={"rows": rows})
    partial = run / f"{NAME}.partial"
    partial.write_text(found.dumps(), encoding="utf-8")
    partial.replace(run / NAME)
    return found


def kept(run: Path, patch: str) -> Explanation | None:
    """What explanation.json holds of the patch with this digest; None where there is none, or another one's."""
    if not (run / NAME).is_file():
        return None
    try:
        found = Explanation.load(run / NAME)
    except RunError:  # of another version
        return None
    return found if found.patch == patch else None
