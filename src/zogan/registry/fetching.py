"""A patch and the evidence on it, out of the registry again, as files with the names that a run gives them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zogan.disk import new_folder
from zogan.evaluate.protocol import lock, looks
from zogan.registry.blobs import LEFT_OUT, Blobs
from zogan.registry.database import RegistryError
from zogan.registry.event import Event
from zogan.registry.evidence import FILES, PATCH, PROBES
from zogan.registry.state import PatchState

_NAMES = {**FILES, "probes": PROBES, "lock": lock.NAME, "looks": looks.NAME}


@dataclass(frozen=True)
class Fetched:
    """What was written.

    Attributes:
        folder: that holds it.
        patch: its digest.
        evidence: number of the evaluation; None where there is none.
        files: names in the folder.
    """

    folder: Path
    patch: str
    evidence: int | None
    files: tuple[str, ...]


def fetch(blobs: Blobs, patch: PatchState, evidence: Event | None, folder: Path) -> Fetched:
    """Write the patch and its evidence into a new folder, whole or not at all; each file is hashed on the way.

    Args:
        blobs: where the files are.
        patch: which.
        evidence: the evaluation that counts; None where there is none.
        folder: a new one.

    Raises:
        RegistryError: the folder is there, or a file was left out when the registry came from another site.
        IntegrityError: a file is missing or changed.
    """
    if folder.exists():
        raise RegistryError("exists already", where=str(folder), todo="Name a new folder")
    wanted = {PATCH: patch.file}
    if evidence is not None:
        wanted |= {_NAMES[what]: digest for what, digest in evidence.blobs.items() if what in _NAMES}
    with new_folder(folder) as partial:
        for name, digest in wanted.items():
            if blobs.left_out(digest):
                raise RegistryError(
                    f"{name}: {LEFT_OUT}", where=f"patch {patch.digest[:12]}", todo="Ask the site it came from"
                )
            (partial / name).write_bytes(blobs.get(digest))
    return Fetched(folder, patch.digest, evidence.number if evidence else None, tuple(wanted))
