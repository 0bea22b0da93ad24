"""explanation.json: whole, of one patch, and rows that join it."""

from __future__ import annotations

from pathlib import Path

from zogan.evaluate.explanation.kept import keep, kept
from zogan.evaluate.explanation.result import Explanation, RowExplanation, Side, Where

PATCH = "a" * 64
SIDE = Side(answer="bad", log_probability=-0.5, baseline=-1.0, delta=0.0, steps=32)


def row(number: int | None, text: str, answer: str = "bad") -> RowExplanation:
    return RowExplanation(
        why="row" if number else "text",
        row=number,
        place=None,
        text=text,
        target=None,
        answer=answer,
        before=None,
        after=SIDE,
        pieces=(),
        neighbours=(),
    )


def found(*rows: RowExplanation, patch: str = PATCH, skipped: dict[str, str] | None = None) -> Explanation:
    where = Where(changed=0, density=0.0, cells=(), vectors=None)
    return Explanation(task="classification", patch=patch, seed=0, where=where, rows=rows, skipped=skipped or {})


def test_rows_that_are_asked_for_join(tmp_path: Path) -> None:
    whole = found(row(1, "a"), row(2, "b"), skipped={"worth": "none"})
    assert keep(tmp_path, whole) == whole
    joined = keep(tmp_path, found(row(2, "b", "good"), row(None, "c")))
    assert joined.skipped == whole.skipped
    assert [(one.row, one.text, one.answer) for one in joined.rows] == [
        (1, "a", "bad"),
        (2, "b", "good"),
        (None, "c", "bad"),
    ]
    assert kept(tmp_path, PATCH) == joined
    assert keep(tmp_path, whole) == whole  # all of it anew


def test_another_patch_begins_anew(tmp_path: Path) -> None:
    keep(tmp_path, found(row(1, "a"), skipped={"worth": "none"}))
    assert kept(tmp_path, "b" * 64) is None
    assert [one.row for one in keep(tmp_path, found(row(3, "x"), patch="b" * 64)).rows] == [3]
    assert kept(tmp_path, PATCH) is None


def test_a_file_of_another_kind_is_none(tmp_path: Path) -> None:
    assert kept(tmp_path, PATCH) is None
    (tmp_path / "explanation.json").write_text("{}")
    assert kept(tmp_path, PATCH) is None
