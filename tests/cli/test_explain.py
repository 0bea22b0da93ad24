"""An explanation over a finished run, and of rows by themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import failure, printed_json, printed_text


def test_all_of_it_is_written(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = printed_json(["explain", "run", "--smallest", "small.safetensors", "--plot", "map.svg"], capsys)
    assert json.loads((tuned / "run/explanation.json").read_text()) == {
        key: value for key, value in tree.items() if key != "run"
    }
    assert tree["worth"]["parts"]
    assert tree["where"]["changed"] == tree["worth"]["together"]["changed"]
    assert (tuned / "small.safetensors").is_file() == (tree["smallest"] is not None)
    assert (tuned / "map.svg").is_file() == any(cell["layer"] is not None for cell in tree["where"]["cells"])
    for page in ("report.html", "report.ja.html"):
        assert '<section class="explanation">' in (tuned / "run" / page).read_text()


def test_rows_join_what_is_there(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed_text(["explain", "run", "--row", "2", "--text", "late and rude"], capsys)
    assert "row 2 (test.jsonl:2)" in out
    assert "text: late and rude" in out
    assert "what tokens added, nats" in out
    assert out.endswith("explanation: run/explanation.json\nreport: run/report.html\n")
    printed_json(["explain", "run", "--row", "3"], capsys)
    rows = json.loads((tuned / "run/explanation.json").read_text())["rows"]
    assert [(row["row"], row["why"]) for row in rows] == [(2, "row"), (None, "text"), (3, "row")]
    assert '<html lang="en">' in (tuned / "run/report.html").read_text()


def test_what_is_refused(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no test row 99. Give one from 1 to 24" in failure(["explain", "run", "--row", "99"], capsys)
    assert "is not a run" in failure(["explain", "base"], capsys)
    both = ["explain", "run", "--row", "1", "--smallest", "small.safetensors"]
    assert "--smallest: is sought when all is explained. Leave out --row and --text" in failure(both, capsys)
    assert ".txt is no kind of picture" in failure(["explain", "run", "--plot", "map.txt"], capsys)
    for option in (["--smallest", "none/small.safetensors"], ["--plot", "none/map.svg"]):
        assert "none: no such folder. Make it, or name another" in failure(["explain", "run", *option], capsys)
    assert not (tuned / "run/explanation.json").exists()


def test_a_look_is_counted_beside_the_frozen_protocol(
    tuned: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from zogan.cli.console import Console
    from zogan.cli.explain import _looked

    assert _looked(Path("run"), Console(quiet=True)) is None
    assert _looked(Path("base"), Console(quiet=True)) is None
    printed_json(["protocol", "freeze"], capsys)
    looked = _looked(Path("run"), Console(quiet=True))
    assert looked is not None
    looked("a" * 64, "b" * 64)
    (line,) = (tuned / "looks.jsonl").read_text().splitlines()
    assert (json.loads(line)["command"], json.loads(line)["patch"]) == ("explain", "a" * 64)
    (tuned / "run/protocol.json").write_text("[")
    assert _looked(Path("run"), Console(quiet=True)) is None
