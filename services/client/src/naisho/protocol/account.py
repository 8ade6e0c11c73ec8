"""Accounts: from a seed to keys to the account identifier (wire 1.1), and conversions between the two curves."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from nacl.bindings import crypto_sign_ed25519_pk_to_curve25519, crypto_sign_ed25519_sk_to_curve25519

from naisho.protocol.encoding import from_hex
from naisho.protocol.errors import BadAccountId, BadEncoding, BadKey
from naisho.protocol.signing import SigningKey

#: Prefix byte of an ordinary account, whose key is X25519 (wire 0).
ORDINARY: Final = 0x05
#: Prefix byte of a closed group, whose key is Ed25519.
GROUP: Final = 0x03

ACCOUNT_BYTES: Final = 33
SHORT_SEED_BYTES: Final = 16
LONG_SEED_BYTES: Final = 32

_KEY_BYTES: Final = 32
_P: Final = 2**255 - 19
_SIGN_BIT: Final = 1 << 255


@dataclass(frozen=True, slots=True, repr=False)
class AccountId:
    """An account identifier: prefix byte and 32-byte key. Prints as a redaction; ask for ``hex`` where it must show."""

    #: 33 bytes.
    raw: bytes

    def __post_init__(self) -> None:
        """Check the length, whoever builds it."""
        if len(self.raw) != ACCOUNT_BYTES:
            raise BadAccountId("an account id has 33 bytes, 66 hexadecimal digits")

    @classmethod
    def parse(cls, text: str) -> AccountId:
        """Read 66 hexadecimal digits, either case.

        Raises:
            BadAccountId: anything else.
        """
        try:
            return cls(from_hex(text, ACCOUNT_BYTES))
        except BadEncoding:
            raise BadAccountId("an account id has 33 bytes, 66 hexadecimal digits") from None

    @classmethod
    def from_bytes(cls, raw: bytes) -> AccountId:
        """Take 33 raw bytes.

        Raises:
            BadAccountId: another length.
        """
        return cls(bytes(raw))

    @property
    def hex(self) -> str:
        """66 lower-case hexadecimal digits."""
        return self.raw.hex()

    @property
    def prefix(self) -> int:
        """The prefix byte; see the table of wire 0."""
        return self.raw[0]

    @property
    def key(self) -> bytes:
        """The 32 bytes behind the prefix."""
        return self.raw[1:]

    def accepts_key(self, ed25519_public: bytes) -> bool:
        """Say whether requests for this account may be signed with an Ed25519 key (wire 4.4).

        An ordinary account's own key is X25519: the signing key must convert to it. Any other account is its key.
        """
        if self.prefix == ORDINARY:
            return converts_to(ed25519_public, self.key)
        return ed25519_public == self.key

    def __repr__(self) -> str:
        return "AccountId(…)"


class AccountKeys:
    """An account's secrets, from its seed. Prints as a redaction."""

    def __init__(self, seed: bytes) -> None:
        """Expand a seed of 16 bytes, as every client makes them, or 32.

        Raises:
            BadKey: another length.
        """
        if len(seed) not in (SHORT_SEED_BYTES, LONG_SEED_BYTES):
            raise BadKey("an account's seed has 16 or 32 bytes")
        self.seed: Final = bytes(seed)
        self._signing: Final = SigningKey(self.ed25519_seed)

    @classmethod
    def generate(cls) -> AccountKeys:
        """Draw a new account: 16 random bytes."""
        return cls(secrets.token_bytes(SHORT_SEED_BYTES))

    @classmethod
    def from_seed(cls, seed: bytes) -> AccountKeys:
        """Restore an account; see the constructor."""
        return cls(seed)

    @property
    def ed25519_seed(self) -> bytes:
        """32 bytes: the seed, padded with zeros."""
        return self.seed.ljust(LONG_SEED_BYTES, b"\0")

    @property
    def ed25519_public(self) -> bytes:
        """32 bytes."""
        return self._signing.public

    @cached_property
    def x25519_public(self) -> bytes:
        """32 bytes."""
        return ed25519_to_x25519(self.ed25519_public)

    @cached_property
    def x25519_secret(self) -> bytes:
        """32 bytes, clamped."""
        return bytes(crypto_sign_ed25519_sk_to_curve25519(self.ed25519_seed + self.ed25519_public))

    @cached_property
    def account_id(self) -> AccountId:
        """``05`` and the X25519 key."""
        return AccountId(bytes([ORDINARY]) + self.x25519_public)

    def sign(self, text: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature."""
        return self._signing.sign(text)

    def __repr__(self) -> str:
        return "AccountKeys(…)"


def ed25519_to_x25519(public: bytes) -> bytes:
    """Convert an Ed25519 public key (libsodium's ``crypto_sign_ed25519_pk_to_curve25519``).

    Raises:
        BadKey: not 32 bytes, not on the curve, or of small order.
    """
    if len(public) != _KEY_BYTES:
        raise BadKey(f"an Ed25519 public key has {_KEY_BYTES} bytes")
    try:
        return bytes(crypto_sign_ed25519_pk_to_curve25519(public))
    except RuntimeError:
        raise BadKey("not an Ed25519 public key") from None


def converts_to(ed25519_public: bytes, x25519_public: bytes) -> bool:
    """Say whether an Ed25519 key converts to an X25519 key, at a hundredth of a conversion's cost.

    Checks u * (1 - y) = 1 + y without dividing and without looking at whether y lies on the curve: use it only beside a
    signature check with the same key, which does. A signature then proves the account's secret, up to its sign.
    """
    if len(ed25519_public) != _KEY_BYTES or len(x25519_public) != _KEY_BYTES:
        return False
    y = int.from_bytes(ed25519_public, "little") & (_SIGN_BIT - 1)
    u = int.from_bytes(x25519_public, "little")
    return y < _P and u < _P and (u * (1 - y) - 1 - y) % _P == 0


def x25519_to_ed25519_positive(public: bytes) -> bytes:
    """Return the Ed25519 key with sign bit 0 that converts to an X25519 key: y = (u - 1) / (u + 1) (wire 1.1).

    Raises:
        BadKey: not 32 bytes, or u = -1, which no key has.
    """
    if len(public) != _KEY_BYTES:
        raise BadKey(f"an X25519 public key has {_KEY_BYTES} bytes")
    u = (int.from_bytes(public, "little") & (_SIGN_BIT - 1)) % _P
    if u == _P - 1:
        raise BadKey("not an X25519 public key")
    return ((u - 1) * pow(u + 1, -1, _P) % _P).to_bytes(_KEY_BYTES, "little")
