"""At most ten slides for the meeting that decides: native charts and tables, and what to say in the notes."""

from __future__ import annotations

from zogan.report.slides.deck import deck

__all__ = ["deck"]
