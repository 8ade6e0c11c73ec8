"""Attachments and profile pictures as older clients encrypt them (wire 6.4)."""

from __future__ import annotations

import hmac
import math
import os
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7

from naisho.protocol.errors import BadAttachment
from naisho.protocol.limits import MAX_ATTACHMENT_BYTES
from naisho.protocol.randomness import Randomness

#: Bytes of an attachment's key: 32 for AES, 32 for the MAC.
KEY_BYTES: Final = 64
#: Bytes of a profile picture's key.
PICTURE_KEY_BYTES: Final = 32

_HALF: Final = 32
_IV: Final = 16
_BLOCK: Final = 16
_MAC: Final = 32
_PICTURE_IV: Final = 12
_PICTURE_TAG: Final = 16
_SMALLEST: Final = 541
_GROWTH: Final = 1.05
_MAX_BODY: Final = MAX_ATTACHMENT_BYTES + _IV + _BLOCK + _MAC


@dataclass(frozen=True, slots=True, repr=False)
class Encrypted:
    """An encrypted attachment: what is uploaded, and what the message that points to it says."""

    body: bytes
    #: 64 bytes.
    key: bytes
    #: SHA-256 of the body.
    digest: bytes
    #: Bytes before padding.
    size: int


def padded_size(size: int) -> int:
    """Return how long a plain attachment of ``size`` bytes becomes: the next power of 1.05, at least 541 bytes.

    Raises:
        BadAttachment: longer than 10,000,000 bytes.
    """
    if size > MAX_ATTACHMENT_BYTES:
        raise BadAttachment(f"an attachment has at most {MAX_ATTACHMENT_BYTES} bytes")
    if size <= _SMALLEST:
        return _SMALLEST
    step = math.floor(_GROWTH ** math.ceil(math.log(size) / math.log(_GROWTH)))
    # Rounding may leave the step one short of the size.
    return min(max(step, size), MAX_ATTACHMENT_BYTES)


def encrypt(plain: bytes, random: Randomness = os.urandom) -> Encrypted:
    """Pad and encrypt an attachment under a fresh key.

    Raises:
        BadAttachment: longer than 10,000,000 bytes.
    """
    padded = plain.ljust(padded_size(len(plain)), b"\0")
    key, iv = random(KEY_BYTES), random(_IV)
    padder = PKCS7(_BLOCK * 8).padder()
    encryptor = Cipher(algorithms.AES(key[:_HALF]), modes.CBC(iv)).encryptor()
    sealed = iv + encryptor.update(padder.update(padded) + padder.finalize()) + encryptor.finalize()
    body = sealed + hmac.digest(key[_HALF:], sealed, "sha256")
    return Encrypted(body, key, sha256(body).digest(), len(plain))


def decrypt(body: bytes, key: bytes, digest: bytes, size: int) -> bytes:
    """Check and decrypt an attachment; the pointer's ``key``, ``digest`` and ``size``.

    Raises:
        BadAttachment: too large, damaged, of another key, or shorter than ``size``.
    """
    if len(key) != KEY_BYTES:
        raise BadAttachment(f"an attachment's key has {KEY_BYTES} bytes")
    if not _IV + _BLOCK + _MAC <= len(body) <= _MAX_BODY:
        raise BadAttachment("no attachment has this length")
    if not hmac.compare_digest(sha256(body).digest(), digest):
        raise BadAttachment("the attachment is not the one that was sent")
    sealed, mac = body[:-_MAC], body[-_MAC:]
    if not hmac.compare_digest(hmac.digest(key[_HALF:], sealed, "sha256"), mac):
        raise BadAttachment("the attachment is damaged or of another key")
    if len(sealed) % _BLOCK:
        raise BadAttachment("no attachment has this length")
    decryptor = Cipher(algorithms.AES(key[:_HALF]), modes.CBC(sealed[:_IV])).decryptor()
    unpadder = PKCS7(_BLOCK * 8).unpadder()
    try:
        padded = unpadder.update(decryptor.update(sealed[_IV:]) + decryptor.finalize()) + unpadder.finalize()
    except ValueError:
        raise BadAttachment("the attachment is damaged or of another key") from None
    if not 0 <= size <= len(padded):
        raise BadAttachment("the attachment is shorter than it should be")
    return padded[:size]


def encrypt_picture(plain: bytes, key: bytes, random: Randomness = os.urandom) -> bytes:
    """Encrypt a profile or group picture under its 32-byte key.

    Raises:
        BadAttachment: too large, or a key of another length.
    """
    if len(plain) > MAX_ATTACHMENT_BYTES:
        raise BadAttachment(f"a picture has at most {MAX_ATTACHMENT_BYTES} bytes")
    iv = random(_PICTURE_IV)
    return iv + _picture_cipher(key).encrypt(iv, plain, None)


def decrypt_picture(body: bytes, key: bytes) -> bytes:
    """Decrypt a profile or group picture.

    Raises:
        BadAttachment: too large or too short, damaged, or of another key.
    """
    if not _PICTURE_IV + _PICTURE_TAG <= len(body) <= MAX_ATTACHMENT_BYTES + _PICTURE_IV + _PICTURE_TAG:
        raise BadAttachment("no picture has this length")
    try:
        return _picture_cipher(key).decrypt(body[:_PICTURE_IV], body[_PICTURE_IV:], None)
    except InvalidTag:
        raise BadAttachment("the picture is damaged or of another key") from None


def _picture_cipher(key: bytes) -> AESGCM:
    if len(key) != PICTURE_KEY_BYTES:
        raise BadAttachment(f"a picture's key has {PICTURE_KEY_BYTES} bytes")
    return AESGCM(key)
