"""The hash that names a stored message (wire 4.6)."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from naisho.protocol.encoding import from_base64, to_base64_unpadded
from naisho.protocol.errors import BadEncoding

#: Raw bytes of a hash, and characters of its text.
HASH_BYTES: Final = 32
HASH_CHARACTERS: Final = 43


def message_digest(account: bytes, namespace: int, data: bytes) -> bytes:
    """Return the 32 raw bytes of a message's hash.

    Times are no part of it: the same data stored twice is one message.

    Args:
        account: 33 bytes, prefix and key.
        namespace: signed 16-bit number.
        data: the message as stored, decoded from base64.
    """
    digest = blake2b(account, digest_size=HASH_BYTES)
    if namespace:
        digest.update(b"%d" % namespace)
    digest.update(data)
    return digest.digest()


def message_hash(account: bytes, namespace: int, data: bytes) -> str:
    """Return a message's hash as 43 characters of unpadded base64; arguments as for ``message_digest``."""
    return hash_text(message_digest(account, namespace, data))


def hash_text(digest: bytes) -> str:
    """Return the text of a raw hash."""
    return to_base64_unpadded(digest)


def parse_hash(text: object) -> bytes:
    """Return the raw bytes of a hash's text.

    Only the spelling that ``hash_text`` writes is a hash: the last character's spare bits must be zero, because
    signatures and listings compare hashes as text.

    Raises:
        BadEncoding: not 43 characters of base64, or not written that way.
    """
    if not isinstance(text, str) or len(text) != HASH_CHARACTERS:
        raise BadEncoding(f"a message hash has {HASH_CHARACTERS} characters")
    raw = from_base64(text, max_bytes=HASH_BYTES, size=HASH_BYTES)
    if hash_text(raw) != text:
        raise BadEncoding("not the canonical text of a message hash")
    return raw
