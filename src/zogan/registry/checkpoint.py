"""What followed from the log up to a head that was proved here, kept so that the rules need not go over it again.

It is believed only with that head, which `verify` works out anew from the bytes of the log, and only by the version of
zogan that wrote it. Like the heads themselves it is as safe as this machine's own files; `verify --full` reads nothing
of it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zogan.errors import ZoganError
from zogan.registry.log import Head
from zogan.registry.policy import Policy
from zogan.registry.projection import columns, read
from zogan.registry.state import AliasState, Memory, PatchState, Person


class Kept(Memory):
    """A state whose patches are read from their lines once they are asked for.

    Attributes:
        lines: of the patches that no event behind the head is about, by digest: their rows as JSON.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, str] = {}

    def patch(self, digest: str) -> PatchState | None:
        """See `View`."""
        found = self.patches.get(digest)
        if found is None and (line := self.lines.get(digest)) is not None:
            found = read(PatchState, json.loads(line)[-1])
        return found

    def put_patch(self, patch: PatchState) -> None:
        """See `View`."""
        self.lines.pop(patch.digest, None)
        super().put_patch(patch)


@dataclass(frozen=True)
class Checkpoint:
    """The state behind a head.

    Attributes:
        head: that was proved.
        at: the latest time up to it.
        entries: SHA-256 of all rows of `entries` up to it, in hex.
        memory: what followed.
    """

    head: Head
    at: str
    entries: str
    memory: Memory

    @property
    def keys(self) -> dict[str, str]:
        """Public keys by keyid."""
        return {one.keyid: one.public for one in self.memory.people().values()}

    def write(self, file: Path, version: str) -> None:
        """Put it in place of the one before."""
        memory = self.memory
        about = {
            "zogan": version,
            "head": str(self.head),
            "at": self.at,
            "entries": self.entries,
            "people": [one.model_dump_json() for one in memory.people().values()],
            "policies": {number: one.model_dump_json() for number, one in memory.policies.items()},
            "aliases": [one.model_dump_json() for one in memory.aliases.values()],
            "standings": len(memory.standings),
        }
        sha = hashlib.sha256()
        partial = file.with_name(f"{file.name}.partial")
        with partial.open("wb") as stream:
            for block in (
                [json.dumps(about)],
                [line_of((*key, number)) for key, number in memory.standings.items()],
                memory.lines.values() if isinstance(memory, Kept) else (),
                (line_of(tuple(columns(one).values())) for one in memory),
            ):
                for line in block:
                    content = f"{line}\n".encode()
                    sha.update(content)
                    stream.write(content)
            stream.write(sha.hexdigest().encode())
        partial.replace(file)


def read_checkpoint(file: Path, head: Head, version: str) -> Checkpoint | None:
    """The one that was written with a head; None where it is of another head or version, damaged, or not there."""
    try:
        content = file.read_bytes()
        text, digest = content[:-64], content[-64:]
        if hashlib.sha256(text).hexdigest().encode() != digest:
            return None
        first, *lines = text.decode().splitlines()
        about: dict[str, Any] = json.loads(first)
        if (about["zogan"], about["head"]) != (version, str(head)):
            return None
        return Checkpoint(head, about["at"], about["entries"], _memory(about, lines))
    except (OSError, ValueError, KeyError, TypeError, ZoganError):
        return None


def line_of(row: tuple[Any, ...]) -> str:
    """A row of a table, as it is kept."""
    return _ENCODE(row)


def _memory(about: dict[str, Any], lines: list[str]) -> Kept:
    memory = Kept()
    for one in about["people"]:
        memory.put_person(read(Person, one))
    for number, one in about["policies"].items():
        memory.put_policy(int(number), Policy.model_validate_json(one))
    for one in about["aliases"]:
        memory.put_alias(read(AliasState, one))
    for line in lines[: about["standings"]]:
        memory.put_stood(*json.loads(line))
    # ["DIGEST",…
    memory.lines = {line[2:66]: line for line in lines[about["standings"] :]}
    return memory


_ENCODE = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
