"""What an exported model is made of: a CycloneDX bill of materials for machine learning."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

from zogan.patch.format import PatchFile
from zogan.patch.meta import canonical

BOM = "bom.cdx.json"

_SPACE = uuid.UUID("6f1a7b0e-5b0c-5d52-9a55-3b1f1a5b6a10")  # of serial numbers made from a patch's digest
_CHUNK = 16 * 2**20  # bytes


def bill(folder: Path, file: PatchFile, name: str) -> str:
    """The bill of materials of a folder with a patch applied: model, base, patch, and every file with its SHA-256.

    The same folder makes the same text: it has no date, and its serial number follows from the patch's digest.

    Args:
        folder: the model; every file in it is listed.
        file: the patch.
        name: of the model.

    Returns: JSON, CycloneDX 1.6.
    """
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6

    meta, count = file.meta, sum(file.infos[f"old/{tensor}"].numel for tensor in file.names)
    facts = {
        "zogan:base": meta.base.whole,
        "zogan:patch": file.digest,
        "zogan:changed": str(count),
        "zogan:weights": str(meta.base.weights),
        **{f"zogan:hash:{key}": value for key, value in meta.hashes.items()},
        **{f"zogan:tool:{key}": value for key, value in meta.tools.items()},
    }
    if meta.parent:
        facts["zogan:parent"] = meta.parent
    if task := meta.task.get("task", meta.task.get("name")):
        facts["zogan:task"] = str(task)
    model = Component(
        name=name,
        version=file.digest,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref="model",
        properties=[Property(name=key, value=value) for key, value in facts.items()],
    )
    base = Component(name="base", version=meta.base.whole, type=ComponentType.MACHINE_LEARNING_MODEL, bom_ref="base")
    patch = Component(
        name=file.path.name,
        version=file.digest,
        type=ComponentType.FILE,
        bom_ref="patch",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=_sha256(file.path))],
    )
    files = [
        Component(
            name=path.relative_to(folder).as_posix(),
            type=ComponentType.FILE,
            bom_ref=f"file:{path.relative_to(folder).as_posix()}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=_sha256(path))],
        )
        for path in _files(folder)
    ]
    bom = Bom(
        serial_number=uuid.uuid5(_SPACE, file.digest),
        metadata=BomMetaData(component=model),
        components=[base, patch, *files],
    )
    bom.register_dependency(model, [base, patch, *files])
    tree = json.loads(JsonV1Dot6(bom).output_as_string())
    del tree["metadata"]["timestamp"]  # optional in the format; the library puts the time of day there
    return canonical(tree, indent=2) + "\n"


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
