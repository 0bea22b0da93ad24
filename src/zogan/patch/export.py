"""A model to hand on: the patch applied to its base in a folder of its own, with its bill of materials, signed."""

from __future__ import annotations

import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from zogan.errors import ZoganError
from zogan.patch.bom import BOM, bill
from zogan.patch.disk import put, sync
from zogan.patch.folder import apply_folder
from zogan.patch.format import PatchFile
from zogan.patch.signature import sign_export
from zogan.patch.stream import refuse_existing
from zogan.progress import Progress, Silent


class Exported(BaseModel):
    """What was written: the folder, its bill of materials, and the signature where it was signed."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    bom: Path
    signature: Path | None
    patch: str
    base: str
    files: int


def export_patch(
    patch: Path,
    base: Path,
    output: Path,
    *,
    name: str | None = None,
    key: Path | None = None,
    password: str | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Make a folder to hand on of a patch and its base.

    Args:
        patch: the file.
        base: the patch's own base; not touched.
        output: the new folder; it appears when it is whole. The signature is `OUTPUT.sig` beside it.
        name: of the model in the bill of materials; the folder's where absent.
        key: a private key on an elliptic curve, PEM, to sign with.
        password: of the key.
        progress: as of `apply_folder`.

    Raises:
        ZoganError: `output` or the signature exists, a link or a bill of materials is in the base, or a key is no key.
        IntegrityError: not the patch's base, or a damaged patch.
    """
    progress = progress or Silent()
    output = output.absolute()
    signature = output.with_name(f"{output.name}.sig")
    refuse_existing(output)
    refuse_existing(signature)
    part = output.with_name(f".{output.name}.zogan-export")
    if part.exists():  # by a killed command
        shutil.rmtree(part)
    part.mkdir()
    try:
        folder = part / output.name  # signed under the name that it will have
        done = apply_folder(patch, base, folder, progress=progress)
        if (folder / BOM).exists():
            raise ZoganError("is in the way of the bill of materials", where=str(base / BOM), todo="Move it away")
        put(folder / BOM, bill(folder, PatchFile.open(patch), name or output.name).encode(), part / "part")
        if key is not None:
            sign_export(folder, part / "sig", key, password=password)
            sync(part / "sig")
            (part / "sig").rename(signature)
        folder.rename(output)
        sync(output.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if not output.exists():
            signature.unlink(missing_ok=True)
    return Exported(
        folder=output,
        bom=output / BOM,
        signature=signature if key is not None else None,
        patch=done.patch,
        base=PatchFile.open(patch).meta.base.whole,
        files=sum(path.is_file() for path in output.rglob("*")),
    )
