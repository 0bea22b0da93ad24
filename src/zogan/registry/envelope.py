"""An event as it is signed: a DSSE envelope, https://github.com/secure-systems-lab/dsse, as in-toto has it.

What is signed is the pre-authentication encoding (PAE) of the payload's type and bytes. An event's hash is the SHA-256
of the envelope's canonical JSON (RFC 8785): the file that a person can hold in hand.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from binascii import b2a_base64
from dataclasses import dataclass

from zogan.errors import IntegrityError

PAYLOAD_TYPE = "application/vnd.zogan.event+json"

_HEAD = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} ".encode()
_MIDDLE = f'","payloadType":"{PAYLOAD_TYPE}","signatures":[{{"keyid":"'.encode()


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed event.

    Args:
        payload: canonical JSON.
        keyid: of who signed.
        signature: Ed25519 over `pae(payload)`, 64 bytes.
    """

    payload: bytes
    keyid: str
    signature: bytes

    def dumps(self) -> bytes:
        """The envelope: canonical JSON."""
        return _dumps(self.payload, self.keyid, self.signature)

    @property
    def hash(self) -> str:
        """SHA-256 of the envelope, in hex."""
        return hash_of(self.payload, self.keyid, self.signature)

    @classmethod
    def loads(cls, content: bytes) -> Signed:
        """Read what `dumps` wrote, and nothing else.

        Raises:
            IntegrityError: it is not that.
        """
        try:
            tree = json.loads(content)
            (signature,) = tree["signatures"]
            found = cls(
                b64decode(tree["payload"], validate=True),
                signature["keyid"],
                b64decode(signature["sig"], validate=True),
            )
            same = found.dumps() == content
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            same = False
        if not same:
            raise IntegrityError("is no event's envelope")
        return found


def pae(payload: bytes) -> bytes:
    """What is signed of a payload."""
    return _HEAD + b"%d %b" % (len(payload), payload)


def hash_of(payload: bytes, keyid: str, signature: bytes) -> str:
    """The hash of an event by the parts of its envelope."""
    return hashlib.sha256(_dumps(payload, keyid, signature)).hexdigest()


def _dumps(payload: bytes, keyid: str, signature: bytes) -> bytes:
    coded, sig = b2a_base64(payload, newline=False), b2a_base64(signature, newline=False)
    return b'{"payload":"%b%b%b","sig":"%b"}]}' % (coded, _MIDDLE, keyid.encode(), sig)
