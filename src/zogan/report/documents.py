"""What is written of a run, under which names, and by what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from zogan.progress import Progress, Silent
from zogan.report.record import Record
from zogan.report.words import Language

Kind = Literal["html", "slides", "card", "runbook", "evidence", "cases"]

Write = Callable[[Record, Language, Path], None]


@dataclass(frozen=True)
class Document:
    """One file of a run, in one language.

    Args:
        kind: of document.
        name: of the file, in the run's folder.
        language: of its words.
        write: makes it from a record.
    """

    kind: Kind
    name: str
    language: Language
    write: Write


def documents(record: Record, main: Language) -> list[Document]:
    """All that can be written of a run; the cases only where it kept what its models said.

    Args:
        record: the run.
        main: language of the files with plain names; the others have theirs before the suffix.
    """
    from zogan.report.cases import has_cases

    return [
        Document(kind, named(stem, suffix, language, main), language, write)
        for kind, stem, suffix, write in _written()
        if kind != "cases" or has_cases(record)
        for language in sorted(get_args(Language), key=lambda one: (one != main, one))
    ]


def named(stem: str, suffix: str, language: Language, main: Language) -> str:
    """report.html, or report.ja.html where that is not the main language."""
    return f"{stem}{suffix}" if language == main else f"{stem}.{language}{suffix}"


def write_documents(
    record: Record, main: Language, only: Kind | None = None, *, progress: Progress = Silent()
) -> list[Path]:
    """Write a run's documents, each whole or not at all.

    Args:
        record: the run.
        main: see `documents`.
        only: of this kind; all where absent.
        progress: told of each.

    Returns:
        Their paths; those in the main language come first of each kind.
    """
    found = [one for one in documents(record, main) if only in (None, one.kind)]
    progress.start("report", len(found))
    for done, one in enumerate(found, 1):
        partial = record.folder / f"{one.name}.partial"
        one.write(record, one.language, partial)
        partial.replace(record.folder / one.name)
        progress.advance(done)
    drop_other(record.folder, main, only)
    return [record.folder / one.name for one in found]


def drop_other(folder: Path, main: Language, only: Kind | None = None) -> None:
    """Remove what an earlier report with another main language left: it would be a second file in this one."""
    for kind, stem, suffix, _ in _written():
        if only in (None, kind):
            (folder / f"{stem}.{main}{suffix}").unlink(missing_ok=True)


def _written() -> list[tuple[Kind, str, str, Write]]:
    """Kind, stem and suffix of each file, and what writes it."""
    from zogan.report.cases import cases
    from zogan.report.html import evidence as evidence_page
    from zogan.report.html import page
    from zogan.report.markdown import card, evidence, runbook
    from zogan.report.slides import deck

    return [
        ("html", "report", ".html", page),
        ("slides", "report", ".pptx", deck),
        ("card", "model-card", ".md", card),
        ("runbook", "runbook", ".md", runbook),
        ("evidence", "evidence", ".html", evidence_page),
        ("evidence", "evidence", ".md", evidence),
        ("cases", "cases", ".csv", cases),
    ]
