"""An OpenSSF model signature over every file of a folder, by an elliptic-curve key, checked without a network."""

from __future__ import annotations

import ast
import base64
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from zogan.errors import IntegrityError, ZoganError, one_line

if TYPE_CHECKING:
    from model_signing import hashing


def sign_export(folder: Path, signature: Path, key: Path, *, password: str | None = None) -> None:
    """Sign every file of a folder.

    Args:
        folder: holds neither links nor the signature.
        signature: the file to write, a sigstore bundle.
        key: a private key on an elliptic curve (P-256, P-384 or P-521), PEM.
        password: of the key, where it has one.

    Raises:
        ZoganError: the key cannot be read, or the folder has links.
    """
    from model_signing import signing

    _there(key)
    try:
        # The library declares text, and hands it to one that takes bytes alone.
        secret = password.encode() if password is not None else None
        signer = signing.Config().use_elliptic_key_signer(private_key=key, password=secret)
    except (ValueError, TypeError, OSError) as error:
        raise ZoganError(f"is no private key that can be used: {_line(error)}", where=str(key), todo=_KEYS) from None
    try:
        signer.set_hashing_config(_everything()).sign(folder, signature)
    except ValueError as error:
        raise ZoganError(f"cannot be signed: {_line(error)}", where=str(folder)) from None


def verify_export(folder: Path, signature: Path, key: Path) -> int:
    """Prove that a folder is, file by file, what was signed: none changed, none missing, none added, none left out.

    Args:
        folder: the model.
        signature: what `sign_export` wrote.
        key: the public key, PEM.

    Returns: how many files were proved.

    Raises:
        ZoganError: a file is missing, or the key is none.
        IntegrityError: the folder is not what was signed, or not by this key.
    """
    from model_signing import verifying

    if not folder.is_dir():
        raise ZoganError("no such folder", where=str(folder))
    for path in (signature, key):
        _there(path)
    try:
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=key)
    except (ValueError, TypeError, OSError) as error:
        raise ZoganError(f"is no public key that can be used: {_line(error)}", where=str(key), todo=_KEYS) from None
    try:
        verifier.set_hashing_config(_everything()).verify(folder, signature)
        signed = json.loads(base64.b64decode(json.loads(signature.read_bytes())["dsseEnvelope"]["payload"]))
        how, resources = signed["predicate"]["serialization"], signed["predicate"]["resources"]
    except Exception as error:  # the library has no class of its own: each of its exceptions means the same
        raise IntegrityError(
            f"is not what was signed: {_differences(error)}",
            where=str(folder),
            todo="Take the folder from where it was made",
        ) from None
    if how.get("ignore_paths") or how.get("allow_symlinks"):
        raise IntegrityError("was signed with files left out, or links followed", where=str(signature))
    return len(resources)


def _everything() -> hashing.Config:
    """Every file, git's among them; links are refused."""
    from model_signing import hashing

    return hashing.Config().set_ignored_paths(paths=[], ignore_git_paths=False).set_allow_symlinks(False)


def _there(path: Path) -> None:
    if not path.is_file():
        raise ZoganError("no such file", where=str(path))


def _differences(error: Exception) -> str:
    """What the library found, without the hashes: which files were changed, are missing, or came in addition."""
    _, _, listed = str(error).partition("Signature mismatch: ")
    try:
        found: list[str] = ast.literal_eval(listed)
    except (SyntaxError, ValueError):  # something else is wrong
        return _line(error)
    return "; ".join(re.sub(r"(?s)^Hash mismatch for '(.*?)': Expected .*", r"\1 was changed", one) for one in found)


def _line(error: Exception) -> str:
    return one_line(error) or type(error).__name__


_KEYS = "openssl ecparam -name prime256v1 -genkey -noout -out KEY makes one; openssl ec -in KEY -pubout its public half"
