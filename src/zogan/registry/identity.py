"""A person is an Ed25519 key: made, kept encrypted in a file that no one else may read, and used to sign."""

from __future__ import annotations

import hashlib
import os
import shlex
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zogan.errors import ZoganError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MODE = 0o600
"""Of a key's file: read and written by its owner alone."""

SHORTEST = 12
"""Characters of a passphrase. PKCS#8 as it is written here stretches it little, so that its length is what protects."""


class IdentityError(ZoganError):
    """A key's file that is missing, open to others, or not unlocked."""


class Identity:
    """A person's key, unlocked.

    Attributes:
        public: the public key, 32 bytes in hex, which others enrol.
        keyid: SHA-256 of the public key's bytes, in hex, by which events name the person.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        raw = key.public_key().public_bytes_raw()
        self._key, self.public, self.keyid = key, raw.hex(), keyid_of(raw)

    def sign(self, message: bytes) -> bytes:
        """An Ed25519 signature (RFC 8032), 64 bytes."""
        return self._key.sign(message)


def keyid_of(public: bytes) -> str:
    """SHA-256 of a public key's 32 bytes, in hex."""
    return hashlib.sha256(public).hexdigest()


def create(path: Path, passphrase: str) -> Identity:
    """Make a key and write it to a new file: PKCS#8 in PEM, encrypted, mode 0600.

    Raises:
        IdentityError: the file is there, or the passphrase is too short.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

    if len(passphrase) < SHORTEST:
        raise IdentityError(f"the passphrase has fewer than {SHORTEST} characters", todo="Take a longer one")
    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase.encode()))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, MODE)
    except FileExistsError:
        raise IdentityError(
            "exists already", where=str(path), todo="Name another file; a key is not replaced"
        ) from None
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(descriptor, MODE)  # whatever the umask is
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)
    return Identity(key)


def load(path: Path, passphrase: str) -> Identity:
    """Unlock a key.

    Raises:
        IdentityError: no such file, others may read it, it is no encrypted Ed25519 key, or the passphrase is wrong.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = closed(path)
    if b"BEGIN ENCRYPTED PRIVATE KEY" not in content:
        raise IdentityError(
            "is no encrypted key (PKCS#8 in PEM)", where=str(path), todo="Make one with `zogan registry identity new`"
        )
    try:
        key: Any = load_pem_private_key(content, passphrase.encode())
    except ValueError:
        raise IdentityError("the passphrase does not unlock it", where=str(path)) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise IdentityError("is no Ed25519 key", where=str(path))
    return Identity(key)


def closed(path: Path) -> bytes:
    """The bytes of a key's file, if its owner alone may read it.

    Raises:
        IdentityError: he is not alone, or there is no such file.
    """
    todo = "Make one with `zogan registry identity new`, or name yours in registry.identity"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise IdentityError("no such key", where=str(path), todo=todo) from None
    with os.fdopen(descriptor, "rb") as stream:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise IdentityError("is no file", where=str(path), todo=todo)
        mode = stat.S_IMODE(about.st_mode)
        if mode != MODE:
            raise IdentityError(
                f"its mode is {mode:04o} and must be {MODE:04o}",
                where=str(path),
                todo=f"chmod {MODE:o} {shlex.quote(str(path))}",
            )
        return stream.read()
