"""zogan patch: export, verify. A tuned model to hand on, with its bill of materials and signature."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zogan.cli.console import Console
from zogan.cli.options import Debug, Json, Quiet
from zogan.cli.patch_folder import folder_of

File = Annotated[Path, typer.Argument(metavar="FILE", help="The patch.")]
Base = Annotated[str, typer.Argument(metavar="FOLDER", help="The patch's own base.")]
Model = Annotated[Path, typer.Argument(metavar="FOLDER", help="The model's folder.")]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="A new folder; its signature is OUT.sig.")]
Name = Annotated[
    str | None, typer.Option("--name", help="The model's name in the bill of materials.", show_default="the folder's")
]
Card = Annotated[
    Path | None,
    typer.Option(
        "--card", metavar="FILE", help="The patch's model card, as README.md.", show_default="model-card.md beside it"
    ),
]
Private = Annotated[
    Path | None,
    typer.Option("--key", metavar="KEY", help="Sign with this private key (elliptic curve, PEM).", show_default=False),
]
Password = Annotated[
    Path | None,
    typer.Option("--password-file", metavar="FILE", help="The key's password, one line.", show_default=False),
]
Public = Annotated[Path, typer.Option("--key", metavar="KEY", help="The signer's public key (PEM).")]
Signature = Annotated[
    Path | None, typer.Option("--signature", metavar="SIG", help="The signature.", show_default="FOLDER.sig")
]


def register(group: typer.Typer) -> None:
    """Add the commands to `zogan patch`."""
    group.command("export", epilog="Example: zogan patch export patch.safetensors models/base -o tuned --key key.pem")(
        export
    )
    group.command("verify", epilog="Example: zogan patch verify tuned --key public.pem")(verify)


def export(
    file: File,
    base: Base,
    output: Output,
    name: Name = None,
    card: Card = None,
    key: Private = None,
    password_file: Password = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make a folder to hand on: the tuned model, its card, bill of materials (CycloneDX) and, with --key, signature."""
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.patch import export_patch

        password = password_file.read_text(encoding="utf-8").rstrip("\r\n") if password_file else None
        place = folder_of(base, console)
        done = export_patch(file, place, output, name=name, card=card, key=key, password=password, progress=console)
        shown = [f"exported: {done.folder} ({done.files:,} files, patch {done.patch[:12]}, base {done.base[:12]})"]
        shown.append(f"made of:  {done.bom}")
        shown.append(f"card:     {done.card}" if done.card else "card:     none is beside the patch; --card names it")
        shown.append(f"signed:   {done.signature}" if done.signature else "signed:   no; --key signs it")
        console.result(done.model_dump(mode="json"), *shown)


def verify(
    folder: Model,
    key: Public,
    signature: Signature = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Prove, without a network, that every file of an exported folder is what was signed, and no other is there."""
    with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
        from zogan.patch import verify_export

        where = signature or folder.absolute().with_name(f"{folder.absolute().name}.sig")
        files = verify_export(folder, where, key)
        value = {"folder": str(folder), "signature": str(where), "files": files}
        console.result(value, f"verified: {files:,} files of {folder}, none changed, missing or added")
