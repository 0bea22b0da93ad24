"""A kill at any instant leaves the old state or the new one, and the next command says which."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tiny_patch import make_base, make_patch, snapshot
from zogan.errors import IntegrityError, RunError
from zogan.patch import journal
from zogan.patch.disk import locked
from zogan.patch.folder import apply_folder, revert_folder
from zogan.patch.journal import recover

CALLS = ("pwrite", "fsync", "rename", "replace", "mkdir", "unlink", "rmdir")


class Killed(BaseException):
    """Stands for the process's end."""


@contextmanager
def killed_at(count: int, calls: tuple[str, ...] = CALLS) -> Iterator[list[str]]:
    """Let `count` calls of the system through, tear the next one in the middle, and let nothing more happen."""
    seen: list[str] = []

    def wrap(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            seen.append(name)
            if len(seen) <= count:
                return call(*args, **kwargs)
            if len(seen) == count + 1 and name == "pwrite":
                descriptor, data, at = args
                call(descriptor, data[: len(data) // 2], at)
            raise Killed

        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        for name in calls:
            patch.setattr(os, name, wrap(name, getattr(os, name)))
        yield seen


@pytest.fixture
def patch(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """On a bare base; or on the result of another patch, where the test asks for one."""
    base = make_base(tmp_path / "base", shards=2)
    piled = getattr(request, "param", False)
    if piled:
        make_patch(base, seed=40, head=True, adapter=True).save(tmp_path / "lower.safetensors")
        apply_folder(tmp_path / "lower.safetensors", base, in_place=True)
    make_patch(base, head=True, adapter=not piled).save(tmp_path / "p.safetensors")
    apply_folder(tmp_path / "p.safetensors", base, tmp_path / "tuned")
    return tmp_path / "p.safetensors"


@pytest.fixture
def base(patch: Path) -> Path:
    return patch.parent / "base"


@pytest.mark.parametrize("patch", [False, True], indirect=True, ids=["bare", "piled"])
@pytest.mark.parametrize("again", [False, True])
def test_a_kill_at_every_call_of_the_system(patch: Path, base: Path, again: bool) -> None:
    """In turn at each call; then with the next command killed as well, while it recovers."""
    old, new = snapshot(base), snapshot(base.parent / "tuned")
    step = (2 if again else 1) * (3 if "zogan.json" in old else 1)  # a stack makes more calls, of the same kinds
    told = Counter[str]()
    for act, start, end in ((apply_folder, old, new), (revert_folder, new, old)):
        for count in range(0, 1000, step):
            with killed_at(count) as seen:
                try:
                    act(patch, base, in_place=True)
                except Killed:
                    pass
                else:
                    break
            if again:
                with killed_at(count % 9), suppress(Killed):
                    recover(base)
            sentence = recover(base)
            state = snapshot(base)
            assert state in (start, end), seen
            if not again:
                assert (sentence or "nothing").split()[-2:] == _words(act, state == end, sentence), seen
            told[(sentence or "nothing").partition(";")[0]] += 1
            if state == end:  # back, to be killed at the next call
                (revert_folder if act is apply_folder else apply_folder)(patch, base, in_place=True)
            assert snapshot(base) == start
        assert count > 20
        assert snapshot(base) == end
        assert {"pwrite", "fsync", "rename", "unlink"} <= set(seen)
    assert len(told) >= (3 if again else 5), told


def _words(act: object, done: bool, sentence: str | None) -> list[str]:
    """How the sentence must end that says which state it is."""
    if not done:
        return ["was", "removed."] if sentence else ["nothing"]
    if sentence and "had done all" in sentence:
        return ["was", "removed."]
    return ["is", "applied." if act is apply_folder else "reverted."] if sentence else ["nothing"]


def test_the_same_command_again_goes_on(patch: Path, base: Path) -> None:
    new = snapshot(base.parent / "tuned")
    with killed_at(1, ("pwrite",)), pytest.raises(Killed):
        apply_folder(patch, base, in_place=True)
    result = apply_folder(patch, base, in_place=True)
    assert result.recovered is not None
    assert "was killed here; it was finished: patch" in result.recovered
    assert snapshot(base) == new


def test_a_new_folder_from_a_folder_with_a_journal(patch: Path, base: Path) -> None:
    new = snapshot(base.parent / "tuned")
    with killed_at(1, ("pwrite",)), pytest.raises(Killed):
        apply_folder(patch, base, in_place=True)
    result = revert_folder(patch, base, base.parent / "back")
    assert result.recovered is not None
    assert snapshot(base) == new


def test_nothing_to_recover(base: Path) -> None:
    assert recover(base) is None


def test_what_changed_meanwhile_stops_recovery(patch: Path, base: Path) -> None:
    with killed_at(1, ("pwrite",)), pytest.raises(Killed):
        apply_folder(patch, base, in_place=True)
    file = base / "model-00001-of-00002.safetensors"
    content = file.read_bytes()
    for at in range(len(content) - 512, len(content)):  # the last tensor: not all of its weights are the patch's
        file.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        before = snapshot(base)
        try:
            recover(base)
        except IntegrityError as error:
            assert "was changed by something else after a zogan apply was killed" in str(error)  # noqa: PT017
            assert snapshot(base) == before
            break
    else:
        pytest.fail("a changed weight was not seen")
    file.write_bytes(content)
    recover(base)
    assert snapshot(base) == snapshot(base.parent / "tuned")


@pytest.mark.parametrize(
    ("file", "content", "fault"),
    [
        ("operation.json", b"{", "no journal that this zogan can read"),
        ("operation.json", b"[]", "no journal that this zogan can read"),
        ("operation.json", b'{"format":2,"operation":"apply","patch":""}', "no journal that this zogan can read"),
        ("operation.json", b'{"format":1,"operation":"burn","patch":""}', "no journal that this zogan can read"),
        ("operation.json", b'{"format":1,"operation":"apply","patch":""}', "not the patch that the journal is for"),
        ("patch.safetensors", b"junk", "no patch of zogan"),
    ],
)
def test_a_journal_that_lies_is_refused(patch: Path, base: Path, file: str, content: bytes, fault: str) -> None:
    with killed_at(1, ("pwrite",)), pytest.raises(Killed):
        apply_folder(patch, base, in_place=True)
    (base / journal.JOURNAL / file).write_bytes(content)
    before = snapshot(base)
    with pytest.raises(IntegrityError, match=fault):
        recover(base)
    assert snapshot(base) == before


def test_a_journal_that_is_a_link_is_refused(patch: Path, base: Path) -> None:
    (base / journal.JOURNAL).symlink_to(base.parent)
    with pytest.raises(IntegrityError, match="is a link, and no journal"):
        apply_folder(patch, base, in_place=True)


def test_two_commands_do_not_mix(patch: Path, base: Path) -> None:
    before = snapshot(base)
    with locked(base), pytest.raises(RunError, match="another zogan command is at work here"):
        apply_folder(patch, base, in_place=True)
    with locked(base), pytest.raises(RunError, match="another zogan command is at work here"):
        apply_folder(patch, base, base.parent / "new")
    with locked(base, shared=True):
        apply_folder(patch, base, base.parent / "new")
    assert snapshot(base) == before


def test_fifty_kills_at_random_instants(tmp_path: Path) -> None:
    paths = [str(Path(__file__).parents[1]), *sys.path]
    run = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("killing.py")), str(tmp_path), "50"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    kills = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(kills) == 50
    assert {kill["state"] for kill in kills} == {"old", "new"}
    # The kills did hit: commands died, and some left a journal that the next command finished or removed.
    assert sum(kill["killed"] for kill in kills) >= 30
    assert sum(kill["left"] for kill in kills) >= 15
    assert all((kill["sentence"] is not None) == kill["left"] for kill in kills)
