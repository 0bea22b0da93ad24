"""Digests are kept while files stand still, and never believed after a change."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tiny import tiny_decoder
from zogan.models import cache as module
from zogan.models.cache import file_digest, folder_fingerprint
from zogan.progress import Silent
from zogan.weights import INDEX, Fingerprint, fingerprint, headers, weight_files


class Counting:
    """How often a folder was read in full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        monkeypatch.setattr(module, "fingerprint", self.read)

    def read(self, folder: Path, **options: Any) -> Fingerprint:
        self.times += 1
        return fingerprint(folder, **options)


def settle(cache: Path) -> None:
    """Make entries look written long after the files that they tell of."""
    for entry in cache.rglob("*.json"):
        os.utime(entry, ns=(2 * 10**18, 2 * 10**18))


def entry_of(cache: Path) -> Path:
    (entry,) = cache.rglob("*.json")
    return entry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_decoder(tmp_path / "base", max_shard_size="20KB")


def test_an_unchanged_folder_is_read_once(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counting, cache = Counting(monkeypatch), tmp_path / "cache"
    first = folder_fingerprint(folder, cache, Silent())
    settle(cache)
    assert folder_fingerprint(folder, cache, Silent()) == first == fingerprint(folder)
    assert counting.times == 1
    (tmp_path / "link").symlink_to(folder)
    assert folder_fingerprint(tmp_path / "link", cache, Silent()) == first
    assert counting.times == 1


def test_an_entry_as_young_as_its_files_is_not_believed(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting, cache = Counting(monkeypatch), tmp_path / "cache"
    folder_fingerprint(folder, cache, Silent())
    folder_fingerprint(folder, cache, Silent())
    assert counting.times == 2


def test_a_changed_byte_is_seen_though_size_and_time_are_kept(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting, cache = Counting(monkeypatch), tmp_path / "cache"
    first = folder_fingerprint(folder, cache, Silent())
    settle(cache)
    info = next(iter(headers(folder).values()))
    stat = info.file.stat()
    with info.file.open("r+b") as stream:
        stream.seek(info.start)
        stream.write(b"\x7f")
    os.utime(info.file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    second = folder_fingerprint(folder, cache, Silent())
    assert second == fingerprint(folder) != first
    assert counting.times == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 0}'])
def test_a_damaged_entry_is_made_again(tmp_path: Path, folder: Path, text: str) -> None:
    cache = tmp_path / "cache"
    first = folder_fingerprint(folder, cache, Silent())
    entry = entry_of(cache)
    entry.write_text(text)
    settle(cache)
    assert folder_fingerprint(folder, cache, Silent()) == first
    assert json.loads(entry.read_text())["whole"] == first.whole


@pytest.mark.parametrize("change", ["digest", "name", "whole", "tensors"])
def test_an_entry_that_lies_is_made_again(tmp_path: Path, folder: Path, change: str) -> None:
    cache = tmp_path / "cache"
    first = folder_fingerprint(folder, cache, Silent())
    tree = json.loads(entry_of(cache).read_text())
    name = next(iter(tree["tensors"]))
    if change == "digest":
        tree["tensors"][name] = "0" * 64
    elif change == "name":
        tree["tensors"]["other"] = tree["tensors"].pop(name)
    else:
        tree[change] = None
    entry_of(cache).write_text(json.dumps(tree))
    settle(cache)
    assert folder_fingerprint(folder, cache, Silent()) == first


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "file").touch()
    assert folder_fingerprint(folder, tmp_path / "file" / "cache", Silent()) == fingerprint(folder)


def test_what_is_written_while_it_is_read_is_not_kept(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(folder: Path, **options: Any) -> Fingerprint:
        found = fingerprint(folder, **options)
        os.utime(weight_files(folder)[0], ns=(1, 1))
        return found

    monkeypatch.setattr(module, "fingerprint", read)
    folder_fingerprint(folder, tmp_path / "cache", Silent())
    assert not list((tmp_path / "cache").rglob("*.json"))


def test_digest_of_a_file(tmp_path: Path) -> None:
    file, cache = tmp_path / "a.gguf", tmp_path / "cache"
    file.write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_digest(file, cache) == digest
    tree = json.loads(entry_of(cache).read_text())
    entry_of(cache).write_text(json.dumps({**tree, "sha256": "kept"}))
    settle(cache)
    assert file_digest(file, cache) == "kept"
    file.write_bytes(b"abcd")
    assert file_digest(file, cache) != "kept"


def test_the_index_is_no_weight_file(folder: Path) -> None:
    assert INDEX not in {file.name for file in weight_files(folder)}
