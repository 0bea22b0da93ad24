"""Documents in Markdown, by a template each: model card, runbook and evidence."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

import zogan
from zogan.report.card import front_matter
from zogan.report.comparison import compare
from zogan.report.costs import cost_sentences
from zogan.report.evidence import told
from zogan.report.facts import change, commands, model_name, most, of_seed, rows_said, settings
from zogan.report.record import Record
from zogan.report.registered import said, unwaived
from zogan.report.risks import risks
from zogan.report.rollback import rules, threshold
from zogan.report.spoken import Speaker
from zogan.report.words import Language, Words

_ACTIVE = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_{}[]<>#|~"} | {"\n": " ", "\r": " ", "&": "&amp;"})


def card(record: Record, language: Language, path: Path) -> None:
    """Write the model card, in the hub's format.

    Args:
        record: the run.
        language: of the words.
        path: the file.
    """
    body = _filled("model-card.md", record, language, {"most": most(record.places)})
    path.write_text(f"---\n{front_matter(record)}---\n\n{body}", encoding="utf-8")


def runbook(record: Record, language: Language, path: Path) -> None:
    """Write how the patch is evaluated, released, watched and taken back, and by whom; see `card`."""
    words = Words(language)
    found = {
        "rules": rules(record),
        "threshold": lambda rule: threshold(rule, words),
        "waived": said(record.registered, Speaker(record.verdict, words), words),
        "set_aside": record.registered is not None and not unwaived(record.registered, record.verdict),
        "registry": record.config.registry.url is not None,
        "short": record.patch[:12],
    }
    path.write_text(_filled("runbook.md", record, language, found), encoding="utf-8")


def evidence(record: Record, language: Language, path: Path) -> None:
    """Write which evidence of the run answers what reviewers ask for, and what is not covered; see `card`."""
    path.write_text(_filled("evidence.md", record, language, told(record, Words(language))), encoding="utf-8")


def inert(text: object) -> str:
    """Text that is the user's, on one line, with nothing in it that Markdown or HTML would take for its own."""
    return str(text).translate(_ACTIVE)


def _filled(template: str, record: Record, language: Language, found: Mapping[str, Any]) -> str:
    words = Words(language)
    environment = Environment(
        loader=PackageLoader("zogan.report", "template"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"inert": inert, "row": _row, "quote": shlex.quote}
    return environment.get_template(template).render(
        words=words,
        record=record,
        verdict=record.verdict,
        speaker=Speaker(record.verdict, words),
        model=model_name(record),
        change=change(record, words),
        rows_said=rows_said(record, words),
        settings=settings(record, words),
        comparisons=compare(record),
        of_seed=of_seed(record, words),
        costs=cost_sentences(record, words),
        risks=risks(record, words),
        commands=commands(record),
        folder=record.folder,
        limits=[one for one in record.verdict.clauses if one.kind == "limit"],
        best=next((entry["epoch"] for entry in reversed(record.epochs) if entry.get("best")), None),
        version=zogan.__version__,
        **found,
    )


def _row(cells: Sequence[object]) -> str:
    """A line of a table; what stands in a cell is inert."""
    return f"| {' | '.join(inert(cell) or ' ' for cell in cells)} |"
