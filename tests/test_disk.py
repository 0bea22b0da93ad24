"""A folder is made whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from zogan.disk import new_folder


def test_a_folder_appears_when_all_of_it_is_there(tmp_path: Path) -> None:
    wanted = tmp_path / "deep" / "out"
    with new_folder(wanted) as partial:
        (partial / "a").write_text("1")
        assert not wanted.exists()
    assert [path.name for path in wanted.parent.iterdir()] == ["out"]
    assert (wanted / "a").read_text() == "1"


def test_after_an_error_nothing_is_left(tmp_path: Path) -> None:
    def broken() -> None:
        with new_folder(tmp_path / "out") as partial:
            (partial / "a").write_text("1")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        broken()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "old").touch()
    with new_folder(tmp_path / "out"):
        pass
    assert list((tmp_path / "out").iterdir()) == []
