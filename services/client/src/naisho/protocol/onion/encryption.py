"""How one onion layer is encrypted (wire 5.2), on both sides.

Node and client agree on a ``ChannelKey`` for each layer; the layer and the reply to it are sealed with the same one.
"""

from __future__ import annotations

import hmac
import os
from enum import Enum
from hashlib import blake2b, sha512
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
    crypto_scalarmult,
    crypto_scalarmult_base,
)
from nacl.exceptions import CryptoError

from naisho.protocol.errors import BadEncoding, BadKey, Undecryptable
from naisho.protocol.randomness import Randomness

KEY_BYTES: Final = 32

_GCM_SALT: Final = b"LOKI"
_GCM_IV: Final = 12
_CBC_IV: Final = 16
_CBC_BLOCK: Final = 16
_XCHACHA_NONCE: Final = 24
_TAG: Final = 16


class Encryption(Enum):
    """The encryption types; values are the names that we write."""

    AES_GCM = "aes-gcm"
    #: Unauthenticated; for old clients only.
    AES_CBC = "aes-cbc"
    XCHACHA20 = "xchacha20"

    @classmethod
    def parse(cls, name: object) -> Encryption:
        """Read any of the names that clients use.

        Raises:
            BadEncoding: no such name.
        """
        found = _NAMES.get(name) if isinstance(name, str) else None
        if found is None:
            raise BadEncoding("unknown encryption type")
        return found


_NAMES: Final = {
    "aes-gcm": Encryption.AES_GCM,
    "gcm": Encryption.AES_GCM,
    "aes-cbc": Encryption.AES_CBC,
    "cbc": Encryption.AES_CBC,
    "xchacha20": Encryption.XCHACHA20,
    "xchacha20-poly1305": Encryption.XCHACHA20,
}


#: What a layer that names none is encrypted with.
UNNAMED: Final = Encryption.AES_GCM.value


class ChannelKey(Protocol):
    """The key of one layer and of the reply to it."""

    def seal(self, plaintext: bytes, random: Randomness = os.urandom) -> bytes:
        """Encrypt under a fresh nonce, which leads the result."""
        ...

    def open(self, ciphertext: bytes) -> bytes:
        """Decrypt.

        Raises:
            Undecryptable: too short, changed, or of another key.
        """
        ...


class _GcmKey:
    __slots__ = ("_aead",)

    def __init__(self, shared: bytes) -> None:
        self._aead = AESGCM(hmac.digest(_GCM_SALT, shared, "sha256"))

    def seal(self, plaintext: bytes, random: Randomness = os.urandom) -> bytes:
        iv = random(_GCM_IV)
        return iv + self._aead.encrypt(iv, plaintext, None)

    def open(self, ciphertext: bytes) -> bytes:
        if len(ciphertext) < _GCM_IV + _TAG:
            raise Undecryptable
        view = memoryview(ciphertext)
        try:
            return self._aead.decrypt(view[:_GCM_IV], view[_GCM_IV:], None)
        except InvalidTag:
            raise Undecryptable from None


class _CbcKey:
    __slots__ = ("_key",)

    def __init__(self, shared: bytes) -> None:
        self._key = algorithms.AES(shared)

    def seal(self, plaintext: bytes, random: Randomness = os.urandom) -> bytes:
        iv = random(_CBC_IV)
        padder = PKCS7(_CBC_BLOCK * 8).padder()
        encryptor = Cipher(self._key, modes.CBC(iv)).encryptor()
        return iv + encryptor.update(padder.update(plaintext) + padder.finalize()) + encryptor.finalize()

    def open(self, ciphertext: bytes) -> bytes:
        if len(ciphertext) < _CBC_IV + _CBC_BLOCK or len(ciphertext) % _CBC_BLOCK:
            raise Undecryptable
        view = memoryview(ciphertext)
        decryptor = Cipher(self._key, modes.CBC(view[:_CBC_IV])).decryptor()
        unpadder = PKCS7(_CBC_BLOCK * 8).unpadder()
        try:
            padded = decryptor.update(view[_CBC_IV:]) + decryptor.finalize()
            return unpadder.update(padded) + unpadder.finalize()
        except ValueError:
            raise Undecryptable from None


class _XChaChaKey:
    __slots__ = ("_key",)

    def __init__(self, shared: bytes, client_public: bytes, server_public: bytes) -> None:
        self._key = blake2b(shared + client_public + server_public, digest_size=KEY_BYTES).digest()

    def seal(self, plaintext: bytes, random: Randomness = os.urandom) -> bytes:
        nonce = random(_XCHACHA_NONCE)
        return nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, None, nonce, self._key)

    def open(self, ciphertext: bytes) -> bytes:
        if len(ciphertext) < _XCHACHA_NONCE + _TAG:
            raise Undecryptable
        nonce, sealed = ciphertext[:_XCHACHA_NONCE], ciphertext[_XCHACHA_NONCE:]
        try:
            return crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, None, nonce, self._key)
        except CryptoError:
            raise Undecryptable from None


def _channel(encryption: Encryption, shared: bytes, client_public: bytes, server_public: bytes) -> ChannelKey:
    if encryption is Encryption.AES_GCM:
        return _GcmKey(shared)
    if encryption is Encryption.XCHACHA20:
        return _XChaChaKey(shared, client_public, server_public)
    return _CbcKey(shared)


def _shared(secret: bytes, public: bytes) -> bytes | None:
    """Return what two share; None if the other's key is none, or one with which everybody shares the same."""
    if len(public) != KEY_BYTES:  # libsodium would not look
        return None
    try:
        return crypto_scalarmult(secret, public)  # as fast as OpenSSL's, without objects for the keys
    except CryptoError:
        return None


class LayerKey:
    """The serving side: a node's or server's X25519 secret, used for every layer. Prints redacted."""

    __slots__ = ("_secret", "public")

    def __init__(self, x25519_secret: bytes) -> None:
        """Take a 32-byte secret.

        Raises:
            BadKey: another length.
        """
        if len(x25519_secret) != KEY_BYTES:
            raise BadKey(f"an X25519 secret has {KEY_BYTES} bytes")
        self._secret: Final = bytes(x25519_secret)
        #: 32 bytes.
        self.public: Final = crypto_scalarmult_base(self._secret)

    @classmethod
    def from_ed25519_seed(cls, seed: bytes) -> LayerKey:
        """Convert a node's 32-byte Ed25519 seed (wire 0: the two keys of a node are one).

        Raises:
            BadKey: another length.
        """
        if len(seed) != KEY_BYTES:
            raise BadKey(f"an Ed25519 seed has {KEY_BYTES} bytes")
        return cls(sha512(seed).digest()[:KEY_BYTES])

    def agree(self, encryption: Encryption, ephemeral_public: bytes) -> ChannelKey:
        """Return the key shared with a client's ephemeral key.

        Raises:
            Undecryptable: not a usable public key.
        """
        shared = _shared(self._secret, ephemeral_public)
        if shared is None:
            raise Undecryptable
        return _channel(encryption, shared, ephemeral_public, self.public)

    def open(self, encryption: Encryption, ephemeral_public: bytes, ciphertext: bytes) -> tuple[bytes, ChannelKey]:
        """Decrypt a layer; return its plaintext and the key for the reply.

        Raises:
            Undecryptable: bad key, or too short, changed, or meant for another.
        """
        key = self.agree(encryption, ephemeral_public)
        return key.open(ciphertext), key

    def __repr__(self) -> str:
        return "LayerKey(…)"


def agree_as_client(
    encryption: Encryption, server_public: bytes, random: Randomness = os.urandom
) -> tuple[bytes, ChannelKey]:
    """The asking side: draw an ephemeral key for one layer.

    Returns:
        The ephemeral public key, 32 bytes, to write beside the layer; and the key for the layer and its reply.

    Raises:
        BadKey: ``server_public`` is not a usable X25519 key.
    """
    secret = random(KEY_BYTES)
    ephemeral_public = crypto_scalarmult_base(secret)
    shared = _shared(secret, server_public)
    if shared is None:
        raise BadKey("not a usable X25519 public key")
    return ephemeral_public, _channel(encryption, shared, ephemeral_public, server_public)
