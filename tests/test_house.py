"""The house: what is installed is pinned, every word of the Makefile is explained, imports go down the layers."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from importlib.resources import files
from pathlib import Path
from sysconfig import get_path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

import zogan

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HOSTS = re.compile(r"pypi\.(org|python)|pythonhosted|download\.pytorch|(index-url|find-links)[ =]", re.IGNORECASE)


def read_requirements(name: str) -> dict[NormalizedName, str]:
    """Package to version specifier."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    parsed = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(item.name): str(item.specifier) for item in parsed}


def test_constraints_pin_one_version_each() -> None:
    for name, specifier in read_requirements("constraints.txt").items():
        # A local part (torch 2.13.0+cpu) would bind the project to one machine's build.
        assert re.fullmatch(r"==[\w.]+", specifier), name


def test_constraints_hold_whatever_the_project_asks_for() -> None:
    project = PROJECT["project"]
    lists = [*project["optional-dependencies"].values(), *PROJECT["dependency-groups"].values()]
    asked = {canonicalize_name(Requirement(line).name) for line in sum(lists, project["dependencies"])}
    asked |= read_requirements("requirements/demo.txt").keys()
    assert asked - {"zogan"} <= read_requirements("constraints.txt").keys()


@pytest.mark.skipif(Path(sys.prefix) != ROOT / ".venv", reason="runs in the environment that the Makefile makes")
def test_constraints_hold_whatever_is_installed() -> None:
    pins = read_requirements("constraints.txt").items()
    # Not what setuptools has in a folder of its own, which compiling puts on the path.
    found = distributions(path=[get_path("purelib")])
    installed = {canonicalize_name(one.name): one.version.partition("+")[0] for one in found}
    installed.pop(canonicalize_name("zogan"))
    assert {(name, f"=={version}") for name, version in installed.items()} - pins == set()


def test_no_host_of_packages_is_named() -> None:
    for path in (*ROOT.glob("*"), *ROOT.glob("requirements/*"), *ROOT.glob("docs/**/*.md"), ROOT / ".ci/run"):
        if path.is_file() and not path.name.startswith(".coverage"):
            assert not HOSTS.search(path.read_text(encoding="utf-8", errors="replace")), path


def test_every_word_of_the_makefile_is_phony_and_explained() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    assert sorted(phony[1].split()) == sorted(re.findall(r"^([a-z-]+):.* ## ", makefile, re.MULTILINE))


def test_imports_go_down_the_layers() -> None:
    program = Path(sys.executable).parent / "lint-imports"
    ran = subprocess.run([program, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_types_are_shipped() -> None:
    assert (files("zogan") / "py.typed").is_file()


def test_every_public_name_is_there() -> None:
    for name in zogan.__all__:
        assert getattr(zogan, name) is not None


def test_a_name_that_is_not_public_is_refused() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'selekt'"):
        _ = zogan.selekt
