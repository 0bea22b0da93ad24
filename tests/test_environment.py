"""What a run ran on: facts about the machine, none about who uses it."""

from __future__ import annotations

import getpass
import json
import os
import platform
from importlib.metadata import PackageNotFoundError

import pytest

import zogan.environment
from zogan import __version__
from zogan.environment import environment


def test_it_names_versions_cores_and_memory() -> None:
    found = environment()
    assert found["python"] == platform.python_version()
    assert found["cores"] == os.cpu_count()
    assert found["memory_bytes"] > 10**8
    assert found["packages"]["zogan"] == __version__
    assert {"torch", "transformers", "safetensors"} <= found["packages"].keys()
    assert json.loads(json.dumps(found)) == found


def test_it_names_neither_host_nor_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "somebody-in-particular")
    assert getpass.getuser() not in environment()["packages"]
    values = [value for value in environment().values() if isinstance(value, str)]
    assert all(platform.node() not in value and "somebody-in-particular" not in value for value in values)


def test_a_package_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "peft":
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(zogan.environment, "version", version)
    found = environment()["packages"]
    assert "peft" not in found
    assert found["numpy"] == "1.0"
