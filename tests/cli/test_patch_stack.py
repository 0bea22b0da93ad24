"""Several patches on one base, by command."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import failure, printed_json, printed_text
from tiny_patch import make_base, make_patch
from tiny_stack import Stack, applied, folder_of, make_stack, same


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.chdir(tmp_path)
    return make_stack(tmp_path, 3, density=0.5, heads=True, seed=4)


def test_compose(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    paths = list(map(str, stack.paths))
    tree = printed_json(["patch", "compose", *paths, "-o", "all", "--base", str(stack.base)], capsys)
    assert (tree["proved"], len(tree["parts"])) == (True, 3)
    assert same(applied(stack.states[0], Path("all")), stack.states[-1])
    out = printed_text(["patch", "compose", *paths, "-o", "again"], capsys)
    assert out.startswith(f"composed: 3 patches with {tree['listed']} entries into {tree['weights']} weights")
    assert Path("again").read_bytes() == Path("all").read_bytes()
    assert "again: exists already" in failure(["patch", "compose", *paths, "-o", "again"], capsys)
    assert "they compete" not in failure(["patch", "compose", paths[0], paths[2], "-o", "x"], capsys, 4)


def test_diff_and_conflicts(stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_patch(stack.base, 0.5, head=True, adapter=True).save(tmp_path / "rival")
    a, b = str(stack.paths[0]), "rival"
    tree = printed_json(["patch", "diff", a, b], capsys)
    assert tree["relation"] == "competes"
    assert tree["total"]["both"] == sum(one["both"] for one in tree["changes"]) > 0
    out = printed_text(["patch", "diff", a, b], capsys)
    assert "both were made on the same base" in out
    assert "norm A−B" in out
    assert "head.weight" in out
    found = printed_json(["patch", "conflicts", *map(str, stack.paths)], capsys)
    assert found["stack"]
    assert printed_text(["patch", "conflicts", *map(str, stack.paths)], capsys).startswith("a stack: some weights")
    out = printed_text(["patch", "conflicts", a, b], capsys)
    assert out.startswith("no stack: some weights are changed twice")
    assert "competes" in out
    assert "2 are the least" in failure(["patch", "conflicts", a], capsys)


def test_remove(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    stack = make_stack(tmp_path, 3, density=0.2, apart=True, heads=True, seed=2)
    paths = list(map(str, stack.paths))
    tree = printed_json(["patch", "remove", *paths, "--out", "2", "--base", "base", "-o", "rest"], capsys)
    assert tree["stack"] == [paths[0], "rest/3-03.safetensors"]
    out = printed_text(["patch", "remove", *paths, "--out", "1", "--base", "base", "-o", "other"], capsys)
    assert "the stack now: other/2-02.safetensors other/3-03.safetensors" in out
    assert "no base is given" in failure(["patch", "remove", *paths, "--out", "1", "-o", "x"], capsys)
    assert "there is no patch 7" in failure(["patch", "remove", *paths, "--out", "7", "-o", "x"], capsys)
    assert printed_text(["patch", "remove", paths[0], "--out", "1", "-o", "x"], capsys).endswith("now: empty\n")


def test_rebase(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    folder_of(stack.states[2], Path("newer"))
    arguments = ["patch", "rebase", str(stack.paths[0]), "--onto", "newer"]
    tree = printed_json([*arguments, "-o", "out"], capsys)
    assert (tree["keep"], tree["moved"] > 0) == ("values", True)
    out = printed_text([*arguments, "-o", "other", "--keep", "difference"], capsys)
    assert out.startswith("rebased: ")
    assert "moved tensor" in out
    make_base(Path("unlike"), shapes={"v": (3,)})
    told = failure(["patch", "rebase", str(stack.paths[0]), "--onto", "unlike", "-o", "x"], capsys, 4)
    assert "is not in the folder" in told
