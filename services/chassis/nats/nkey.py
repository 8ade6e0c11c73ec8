"""User keys of NATS: an Ed25519 key whose public half stands in the server's configuration."""

from __future__ import annotations

import base64
from typing import Final

import nkeys
from nacl.signing import SigningKey

SEED_BYTES: Final = 32


def public_key(seed: bytes) -> str:
    """Return the text form (``U…``) of the public key that belongs to 32 secret bytes."""
    pair = nkeys.from_seed(nkeys.encode_seed(seed, nkeys.PREFIX_BYTE_USER))
    text: bytes = pair.public_key
    return text.decode("ascii")


def sign_nonce(seed: bytes, nonce: str) -> str:
    """Return the signature of a server's nonce as CONNECT wants it (base64 for addresses, without padding)."""
    signature = SigningKey(seed).sign(nonce.encode("ascii")).signature
    return base64.urlsafe_b64encode(signature).rstrip(b"=").decode("ascii")
