"""Who signs what: one text for every signature around the directory, and k-of-n checks.

The text is a purpose, a zero byte, the network id, a zero byte, and the signed bytes; neither purpose nor network id
can hold a zero byte. A signature for one purpose or network is none for another.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Collection, Iterable
from typing import NamedTuple, Protocol

from naisho.protocol import signing


class Purpose(enum.StrEnum):
    """What a signature is for."""

    DIRECTORY = "naisho/directory/1"
    SIGNING_KEYS = "naisho/signing-keys/1"
    CERTIFICATE = "naisho/certificate/1"
    ANNOUNCEMENT = "naisho/announcement/1"
    HEARTBEAT = "naisho/heartbeat/1"


class Signature(NamedTuple):
    """One signature and the key that made it."""

    key: bytes
    signature: bytes


class Signer(Protocol):
    """A key pair that can sign, such as ``signing.SigningKey``; where the secret lives is its own business."""

    @property
    def public(self) -> bytes:
        """32 bytes."""
        ...

    def sign(self, message: bytes, /) -> bytes:
        """Return a signature, 64 bytes."""
        ...


def text(purpose: Purpose, network_id: str, body: bytes) -> bytes:
    """Return the bytes that a signature covers."""
    return b"\0".join((purpose.encode(), network_id.encode(), body))


def sign(signer: Signer, purpose: Purpose, network_id: str, body: bytes) -> bytes:
    """Return a signature for a purpose in a network."""
    return signer.sign(text(purpose, network_id, body))


def is_signed(key: bytes, signature: bytes, purpose: Purpose, network_id: str, body: bytes) -> bool:
    """Tell whether a signature by ``key`` holds."""
    return signing.verify(key, text(purpose, network_id, body), signature)


def signers(
    signatures: Iterable[Signature], allowed: Collection[bytes], purpose: Purpose, network_id: str, body: bytes
) -> int:
    """Count the allowed keys that have signed; strangers' and repeated signatures count nothing."""
    signed = text(purpose, network_id, body)
    good: set[bytes] = set()
    for key, signature in signatures:
        if key in allowed and key not in good and signing.verify(key, signed, signature):
            good.add(key)
    return len(good)


def certificate_body(certificate: bytes) -> bytes:
    """Return what a node signs of its certificate (DER): the SHA-256 fingerprint."""
    return hashlib.sha256(certificate).digest()
