"""The docs are true: links lead somewhere, commands, keys and names exist, and both languages say the same."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest
import yaml
from annotated_types import BaseMetadata
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.core import TyperGroup
from typer.main import get_command

import zogan
from zogan.cli.app import app
from zogan.config import METHOD_RATES, Bytes, Config, parse_config
from zogan.select.criteria import CRITERIA

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
READMES = ("README.md", "README.ja.md")

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
each_readme = pytest.mark.parametrize("page", READMES)


def read(page: Path | str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def prose(page: Path | str) -> str:
    """A page without its blocks of code."""
    return FENCE.sub("", read(page))


def blocks(page: str, language: str) -> list[str]:
    return [body for name, body in FENCE.findall(read(page)) if name == language]


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        titles = [title.lower() for _, title in HEADING.findall(prose(target))] if anchor else []
        assert not anchor or anchor in [re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles], link


@each_page
def test_what_to_make_is_in_the_makefile(page: Path) -> None:
    told = re.findall(r"(?:^|`)make ([a-z-]+)", read(page), re.MULTILINE)
    assert set(told) <= set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))


def test_both_languages_say_the_same() -> None:
    english, japanese = (skeleton(page) for page in READMES)
    assert english == japanese


def skeleton(page: str) -> list[list[str]]:
    """What a translation must keep: levels of headings, code without comments, commands, pictures' places."""
    code = [line for _, body in FENCE.findall(read(page)) for line in body.splitlines()]
    return [
        [level for level, _ in HEADING.findall(prose(page))],
        [re.split(r"\s{3,}|\s+#", line.strip())[0] for line in code],
        re.findall(r"^\| (`.+?`) \|", prose(page), re.MULTILINE),
        re.findall(r"<!-- .+? -->|!\[.*?\]\((.+?)\)", prose(page)),
        [str(len(re.findall(r"^(?:\d+\.|-) ", prose(page), re.MULTILINE)))],
    ]


@each_readme
def test_readme_shows_a_configuration_that_is_one(page: str) -> None:
    (shown,) = blocks(page, "yaml")
    parse_config(yaml.safe_load(shown), folder=ROOT)


@each_readme
def test_readme_lists_every_command_and_no_other(page: str) -> None:
    listed = re.findall(r"^\| `zogan ([a-z ]+)` \|", read(page), re.MULTILINE)
    assert sorted(listed) == sorted(commands())


@each_page
def test_commands_that_are_shown_exist(page: Path) -> None:
    script = "".join(body for name, body in FENCE.findall(read(page)) if name in ("sh", "bash", "console"))
    shown = re.findall(r"^(?:\$ )?zogan ([a-z ]+)", script, re.MULTILINE) + re.findall(r"`zogan ([a-z ]+)", prose(page))
    known = [command.split() for command in commands()]
    for line in shown:
        assert any(line.split()[: len(verb)] in (verb, verb[:1]) for verb in known), line


@each_readme
def test_readme_uses_public_names(page: str) -> None:
    (shown,) = blocks(page, "python")
    used = [node for node in ast.walk(ast.parse(shown)) if isinstance(node, ast.Attribute)]
    names = {node.attr for node in used if ast.unparse(node.value) == "zogan"}
    assert names
    assert names <= set(zogan.__all__)


def test_architecture_shows_every_part_and_no_other() -> None:
    (tree,) = (body for body in blocks("docs/architecture.md", "text") if body.startswith("src/zogan/"))
    shown = re.findall(r"^  ([\w.]+)/? ", tree, re.MULTILINE)
    parts = [path for path in (ROOT / "src/zogan").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    assert sorted(shown) == sorted(path.name for path in parts)


def test_architecture_has_the_layers_that_are_held() -> None:
    layers = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"][0]["layers"]
    assert "".join(f"{layer}\n" for layer in layers) in blocks("docs/architecture.md", "text")


def test_configuration_page_has_every_key() -> None:
    table = ["| key | value | default | meaning |", "| --- | --- | --- | --- |", *rows(Config)]
    assert "\n".join(table) in read("docs/configuration.md"), "The table must be:\n" + "\n".join(table)


def test_configuration_page_has_every_rate() -> None:
    for method, rate in METHOD_RATES.items():
        assert f"| `{method}` | {rate} |" in read("docs/configuration.md")


def commands() -> list[str]:
    """Every verb of the command line, with its group's name before it."""
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    verbs = []
    for name, command in group.commands.items():
        inner = command.commands if isinstance(command, TyperGroup) else {}
        verbs += [f"{name} {verb}" for verb in inner] or [name]
    return verbs


def test_methods_page_has_every_method_and_criterion() -> None:
    named = re.findall(r"^\| `(\w+)` \|", read("docs/methods.md"), re.MULTILINE)
    assert named == [*METHOD_RATES, *CRITERIA]


def rows(section: type[BaseModel], prefix: str = "") -> list[str]:
    """A line of the table for each key, in the order of the configuration."""
    lines = []
    for name, field in section.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            lines += rows(annotation, f"{prefix}{name}.")
            continue
        (item,) = get_args(annotation)[:1] if get_origin(annotation) is tuple else (None,)
        if isinstance(item, type) and issubclass(item, BaseModel):
            lines.append(f"| `{prefix}{name}` | a list of mappings with the keys below | `[]` | {field.description} |")
            lines += rows(item, f"{prefix}{name}[].")
            continue
        default = "none" if field.default is None else f"`{field.default}`"
        default = default.lower() if annotation is bool else default
        default = f"`[{', '.join(field.default)}]`" if isinstance(field.default, tuple) else default
        default = "**required**" if field.is_required() else default
        lines.append(f"| `{prefix}{name}` | {values(annotation, field.metadata)} | {default} | {field.description} |")
    return lines


def values(annotation: Any, metadata: list[Any]) -> str:
    """What a key takes, in words."""
    if get_origin(annotation) in (Union, UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        null = [", or null"] if type(None) in get_args(annotation) else []
        return "".join([", ".join(values(part, metadata) for part in parts), *null])
    if hasattr(annotation, "__metadata__"):
        if Bytes == annotation:
            return "bytes, or a text such as `6GB`"
        parts = [part.metadata if isinstance(part, FieldInfo) else [part] for part in annotation.__metadata__]
        return values(get_args(annotation)[0], [item for part in parts for item in part])
    if get_origin(annotation) is tuple:
        return f"a list of {values(get_args(annotation)[0], [])}"
    if get_origin(annotation) is dict or annotation is dict:
        return "a mapping"
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    bounds = [item for item in metadata if isinstance(item, BaseMetadata)]
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    limits = [f"{sign} {getattr(item, key):g}" for item in bounds for key, sign in signs.items() if hasattr(item, key)]
    if annotation is bool:
        return "`true`, `false`"
    words = {"str": "text", "Path": "path", "int": "whole number", "float": "number"}
    return " ".join([words[annotation.__name__], ", ".join(limits)]).strip()
