"""The pages of a real run."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import failure, printed_json, printed_text
from tiny_project import contents


def test_the_pages_are_those_of_the_pilot(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(tuned / "run")
    tree = printed_json(["report", "run"], capsys)
    assert tree["pages"] == ["run/report.html", "run/report.ja.html"]
    assert len(tree["documents"]) == 14
    # Nothing but the pilot's own bytes, slides and all; but for the folder, which the runbook names.
    after = contents(tuned / "run")
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} <= {"runbook.md", "runbook.ja.md"}


def test_the_language_can_be_another(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed_text(["report", "run", "--language", "ja", "--only", "html"], capsys)
    assert out.splitlines() == ["html: run/report.html", "html: run/report.en.html"]
    assert not (tuned / "run" / "report.ja.html").exists()


@pytest.mark.parametrize(
    ("name", "content", "code", "line"),
    [
        ("zogan.yaml", None, 2, "is not a run: it has no zogan.yaml"),
        ("evaluation.json", None, 2, "has no evaluation.json yet. Run `zogan evaluate` first"),
        ("evaluation.json", b"{", 2, "cannot be read"),
        ("costs.json", b"[]", 4, "is damaged"),
        ("patch.safetensors", b"", 4, "patch.safetensors"),
    ],
)
def test_a_run_that_is_not_whole_is_refused(
    tuned: Path, name: str, content: bytes | None, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tuned / "run" / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    assert line in failure(["report", "run"], capsys, code)


def test_a_folder_that_is_not_there_is_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert failure(["report", "nowhere"], capsys).startswith("nowhere: is not a run")
