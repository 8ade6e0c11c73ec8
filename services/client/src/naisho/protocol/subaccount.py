"""Subaccount tokens: an account lets another key read, write or delete in its mailbox (wire 4.4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import Final

from naisho.protocol.encoding import from_base64, from_hex
from naisho.protocol.errors import BadEncoding, BadToken
from naisho.protocol.signing import verify

TOKEN_BYTES: Final = 36

_HEADER_BYTES: Final = 4


class Rights(IntFlag):
    """What a token allows: its flag byte."""

    NONE = 0
    READ = 1
    WRITE = 2
    DELETE = 4
    #: Valid for accounts of any prefix.
    ANY_PREFIX = 8


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """A subaccount token: prefix byte, flag byte, two zero bytes, 32-byte Ed25519 key. Prints as a redaction."""

    #: 36 bytes.
    raw: bytes

    def __post_init__(self) -> None:
        """Check the form, whoever builds it."""
        if len(self.raw) != TOKEN_BYTES or self.raw[2:_HEADER_BYTES] != b"\0\0":
            raise BadToken("a subaccount token has 36 bytes, the third and fourth zero")

    @classmethod
    def parse(cls, text: object) -> Token:
        """Read 72 hexadecimal digits or 48 characters of base64.

        Raises:
            BadToken: anything else.
        """
        try:
            if isinstance(text, str) and len(text) == 2 * TOKEN_BYTES:
                return cls(from_hex(text, TOKEN_BYTES))
            return cls(from_base64(text, max_bytes=TOKEN_BYTES, size=TOKEN_BYTES))
        except BadEncoding:
            raise BadToken("a subaccount token is 72 hexadecimal digits or 48 characters of base64") from None

    @classmethod
    def make(cls, prefix: int, rights: Rights, key: bytes) -> Token:
        """Put a token together; its owner still has to sign ``raw``.

        Raises:
            BadToken: the key has not 32 bytes.
        """
        return cls(bytes([prefix, rights, 0, 0]) + key)

    @property
    def prefix(self) -> int:
        """Prefix byte of the account that it is for."""
        return self.raw[0]

    @property
    def rights(self) -> Rights:
        """What it allows."""
        return Rights(self.raw[1])

    @property
    def key(self) -> bytes:
        """32 bytes: the Ed25519 key that signs requests."""
        return self.raw[_HEADER_BYTES:]

    def granted_by(self, owner_key: bytes, owner_signature: bytes, *, prefix: int, needed: Rights) -> bool:
        """Say whether an account allows this token what a request needs (wire 4.4, steps 2 to 4).

        Args:
            owner_key: the account's 32-byte Ed25519 key.
            owner_signature: its signature of the token, ``subaccount_sig``.
            prefix: the account's prefix byte.
            needed: all of these rights must be held.
        """
        rights = self.rights
        if self.prefix != prefix and not rights & Rights.ANY_PREFIX:
            return False
        return rights & needed == needed and verify(owner_key, self.raw, owner_signature)

    def __repr__(self) -> str:
        return "Token(…)"
