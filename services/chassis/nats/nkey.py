"""Keys of NATS: Ed25519 keys whose public half is written so that it tells whose key it is."""

from __future__ import annotations

import base64
from enum import Enum
from typing import Final

import nkeys
from nacl.signing import SigningKey

SEED_BYTES: Final = 32


class KeyOf(Enum):
    """Whose key it is; the first letter of its public half, and the second one of its seed."""

    OPERATOR = "O"
    ACCOUNT = "A"
    USER = "U"


_PREFIXES: Final = {
    KeyOf.OPERATOR: nkeys.PREFIX_BYTE_OPERATOR,
    KeyOf.ACCOUNT: nkeys.PREFIX_BYTE_ACCOUNT,
    KeyOf.USER: nkeys.PREFIX_BYTE_USER,
}


def public_key(seed: bytes, of: KeyOf = KeyOf.USER) -> str:
    """Return the text form (``U…``) of the public key that belongs to 32 secret bytes."""
    pair = nkeys.from_seed(nkeys.encode_seed(seed, _PREFIXES[of]))
    text: bytes = pair.public_key
    return text.decode("ascii")


def seed_text(seed: bytes, of: KeyOf) -> str:
    """Return 32 secret bytes in the form that NATS' own tools write and read (``SA…``)."""
    text: bytes = nkeys.encode_seed(seed, _PREFIXES[of])
    return text.decode("ascii")


def read_seed(text: str, of: KeyOf) -> bytes:
    """Return the 32 secret bytes of a seed in NATS' own form.

    Raises:
        ValueError: it is none, or one of another kind of key; the text is not repeated.
    """
    try:
        prefix, rest = nkeys.decode_seed(text.strip().encode("ascii"))
    except (nkeys.NkeysError, ValueError, IndexError):
        prefix, rest = None, b""
    seed = bytes(rest[:SEED_BYTES])
    if prefix != _PREFIXES[of] or seed_text(seed, of) != text.strip():
        raise ValueError(f"this is no NATS seed that begins with S{of.value}")
    return seed


def sign(seed: bytes, message: bytes) -> str:
    """Return the signature of a message as NATS wants it: base64 for addresses, without padding."""
    return base64.urlsafe_b64encode(SigningKey(seed).sign(message).signature).rstrip(b"=").decode("ascii")
