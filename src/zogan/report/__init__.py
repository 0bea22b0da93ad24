"""What people read: one page that says what was asked, what came out, what it cost and how to take it back."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def write(run: Path, language: Literal["en", "ja"] | None = None) -> Path:
    """Write the report of a finished run, in both languages, from the run's files alone.

    Args:
        run: the run's folder.
        language: of `report.html`; the configuration's where absent. The other language stands beside it as
            `report.en.html` or `report.ja.html`.

    Returns:
        Path of `report.html`.

    Raises:
        RunError: not a run, or a stage that is not done yet.
    """
    from zogan.report.html import write_pages

    return write_pages(run, language)
