"""A project whose run is finished, for the commands to work on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiny_project import at_work, tiny_config, write_project


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a finished run; to be read alone."""
    from zogan.pilot import pilot

    folder = tmp_path_factory.mktemp("finished")
    write_project(folder, "own head")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        pilot(tiny_config(folder), beside=folder)
    return folder


@pytest.fixture
def tuned(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the working directory."""
    return at_work(finished, tmp_path / "tuned", monkeypatch)
