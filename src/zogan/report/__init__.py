"""What people read of a run: the page, the slides, the model card, the runbook, the evidence and the cases."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from zogan.progress import Progress, Silent
from zogan.report.documents import Kind


def write(
    run: Path,
    language: Literal["en", "ja"] | None = None,
    only: Kind | None = None,
    *,
    progress: Progress = Silent(),
) -> list[Path]:
    """Write the documents of a finished run, in both languages, from the run's files.

    Args:
        run: the run's folder.
        language: of `report.html` and of all other files with plain names; the configuration's where absent. The other
            language stands beside, as `report.en.html` or `report.ja.html`.
        only: documents of this kind; all where absent.
        progress: told of each document.

    Returns:
        Paths of what was written; those in the main language come first of each kind.

    Raises:
        RunError: not a run, or a stage that is not done yet.
    """
    from zogan.report.documents import write_documents
    from zogan.report.record import read

    record = read(run)
    return write_documents(record, language or record.config.language, only, progress=progress)
