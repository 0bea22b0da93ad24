"""A model to hand on: the patch applied to its base in a new folder, with its card and bill of materials, signed."""

from __future__ import annotations

import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from zogan.disk import put, sync
from zogan.errors import ZoganError
from zogan.patch.bom import BOM, bill
from zogan.patch.folder import apply_folder
from zogan.patch.format import PatchFile
from zogan.patch.signature import sign_export
from zogan.patch.stream import refuse_existing
from zogan.progress import Progress, Silent

CARD = "README.md"
"""Of the exported folder: where a model's card is looked for. The base's own goes on as `BASE_CARD`."""

BASE_CARD = "README.base.md"

RUN_CARD = "model-card.md"
"""Of a run's folder, beside its patch."""


class Exported(BaseModel):
    """What was written: the folder, its bill of materials, and the card and the signature where there are any."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    bom: Path
    card: Path | None
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
    card: Path | None = None,
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
        card: the patch's model card, which names the patch's digest; where absent, `model-card.md` beside the patch,
            if it is of this patch.
        key: a private key on an elliptic curve, PEM, to sign with.
        password: of the key.
        progress: as of `apply_folder`.

    Raises:
        ZoganError: `output` or the signature exists, a link or a bill of materials is in the base, a card is of another
            patch, or a key is no key.
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
        carded = _card(patch, card, done.patch)
        if carded is not None:
            _put_card(folder, carded, part / "part")
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
        card=output / CARD if carded else None,
        signature=signature if key is not None else None,
        patch=done.patch,
        base=PatchFile.open(patch).meta.base.whole,
        files=sum(path.is_file() for path in output.rglob("*")),
    )


def _card(patch: Path, given: Path | None, digest: str) -> bytes | None:
    """The card of a patch; None where a run has left none of it."""
    path = given or patch.with_name(RUN_CARD)
    if given is None and not path.is_file():
        return None
    content = path.read_bytes()
    if digest.encode() in content:
        return content
    if given is None:
        return None
    raise ZoganError(
        f"is no card of the patch {digest[:12]}: it does not name its digest",
        where=str(given),
        todo="Write it anew with `zogan report RUN --only card`",
    )


def _put_card(folder: Path, content: bytes, part: Path) -> None:
    if (folder / CARD).is_file():
        put(folder / BASE_CARD, (folder / CARD).read_bytes(), part)
    put(folder / CARD, content, part)
