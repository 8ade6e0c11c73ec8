"""Attachments: sizes, damage, and another implementation reading ours and writing theirs."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

import pytest

from naisho.protocol import attachments
from naisho.protocol.errors import BadAttachment


@pytest.mark.parametrize("size", [0, 1, 540, 541, 542, 1000, 65_536, 1_000_003])
def test_other_clients_read_ours_and_we_read_theirs(size: int, other: ModuleType) -> None:
    plain = os.urandom(size)
    ours = attachments.encrypt(plain)
    assert ours.size == size
    assert other.decrypt_attachment(ours.body, ours.key, ours.digest, size) == plain
    theirs = other.encrypt_attachment(plain)
    assert attachments.decrypt(theirs["ciphertext"], theirs["key"], theirs["digest"], size) == plain
    assert len(theirs["ciphertext"]) == len(ours.body)


@pytest.mark.parametrize(
    ("size", "padded"), [(0, 541), (1, 541), (541, 541), (542, 568), (568, 568), (569, 596), (9_999_999, 10_000_000)]
)
def test_padded_sizes(size: int, padded: int) -> None:
    assert attachments.padded_size(size) == padded


def test_padding_never_cuts() -> None:
    for size in (*range(3000), *(int(1.05**step) + off for step in range(160, 330) for off in (-1, 0, 1))):
        assert size <= attachments.padded_size(size) <= max(541, size * 1.06)


def test_the_largest_attachment() -> None:
    plain = bytes(10_000_000)
    encrypted = attachments.encrypt(plain)
    assert attachments.decrypt(encrypted.body, encrypted.key, encrypted.digest, len(plain)) == plain
    with pytest.raises(BadAttachment):
        attachments.encrypt(plain + b"\0")


def test_damage_of_any_kind_is_noticed() -> None:
    good = attachments.encrypt(b"a picture")

    def refuse(body: bytes, key: bytes, digest: bytes, size: int = 9) -> None:
        with pytest.raises(BadAttachment):
            attachments.decrypt(body, key, digest, size)

    sha256 = importlib.import_module("hashlib").sha256
    for index in range(0, len(good.body), 7):
        damaged = bytearray(good.body)
        damaged[index] ^= 0x10
        refuse(bytes(damaged), good.key, good.digest)
        refuse(bytes(damaged), good.key, sha256(damaged).digest())
    for cut in (b"", good.body[:63], good.body[:-1], good.body[:-16]):
        refuse(cut, good.key, sha256(cut).digest())
    refuse(good.body, bytes(64), good.digest)
    refuse(good.body, good.key[:32], good.digest)
    refuse(good.body, good.key, b"")
    refuse(good.body, good.key, good.digest, 542)
    refuse(good.body, good.key, good.digest, -1)
    refuse(bytes(10_000_100), good.key, sha256(bytes(10_000_100)).digest())


def test_pictures(other: ModuleType) -> None:
    key = os.urandom(32)
    body = attachments.encrypt_picture(b"a face", key)
    assert attachments.decrypt_picture(body, key) == b"a face" == other.decrypt_profile(body, key)
    assert attachments.decrypt_picture(other.encrypt_profile(b"another", key), key) == b"another"
    for broken in (b"", body[:27], body[:-1], body + b"\0", bytes(10_000_100)):
        with pytest.raises(BadAttachment):
            attachments.decrypt_picture(broken, key)
    with pytest.raises(BadAttachment):
        attachments.decrypt_picture(body, bytes(32))
    with pytest.raises(BadAttachment):
        attachments.encrypt_picture(b"a face", key[:16])
    with pytest.raises(BadAttachment):
        attachments.encrypt_picture(bytes(10_000_001), key)
