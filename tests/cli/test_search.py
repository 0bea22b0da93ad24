"""Good settings for these data, as the command finds and prints them."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import failure, printed_json, printed_text

FEW = ["search", "--set", "search.keys=train.(rate|epochs)"]


def test_a_table_of_trials_and_the_next_command(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = printed_json([*FEW, "--trials", "3", "--plot", "cost.png"], capsys)
    assert len(tree["trials"]) == 3
    assert Path("cost.png").read_bytes().startswith(b"\x89PNG")
    # The same study: nothing is tried again.
    out = printed_text([*FEW, "--trials", "3", "--quiet"], capsys)
    assert "as configured" in out
    assert out.splitlines()[-1] == f"next: zogan pilot {tree['config']}"
    assert Path(tree["config"]).is_file()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--trials", "0"], "search.trials = 0"),
        (["--minutes", "0"], "search.minutes = 0"),
        (["--plot", "cost.doc"], "cost.doc: .doc is no kind of picture"),
        (["--storage", "nosuch://here"], "search.storage: the study's database cannot be opened"),
    ],
)
def test_what_it_cannot_do(tuned: Path, capsys: pytest.CaptureFixture[str], options: list[str], line: str) -> None:
    assert line in failure([*FEW, *options], capsys)
