"""One layer's encryption and framing against the vectors."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from naisho.protocol.encoding import to_base64
from naisho.protocol.errors import (
    BadEncoding,
    BadFrame,
    BadKey,
    BadOuterLayer,
    TooManyHops,
    Undecryptable,
)
from naisho.protocol.onion import framing
from naisho.protocol.onion.encryption import Encryption, LayerKey, agree_as_client

SMALL_ORDER = bytes(32)


def take(nonce_and_more: bytes, size: int) -> bytes:
    return nonce_and_more[:size]


def test_keys_and_ciphertexts_of_both_sides(vectors: dict[str, Any]) -> None:
    vector = vectors["onion_encryption"]
    server = LayerKey(bytes.fromhex(vector["server_x25519_sk"]))
    assert server.public.hex() == vector["server_x25519_pk"]
    client_secret, client_public = bytes.fromhex(vector["client_x25519_sk"]), bytes.fromhex(vector["client_x25519_pk"])
    plaintext = vector["plaintext_ascii"].encode()
    for encryption, field in ((Encryption.AES_GCM, "aes_gcm"), (Encryption.XCHACHA20, "xchacha20")):
        ciphertext = bytes.fromhex(vector[f"{field}_ciphertext"])
        opened, reply_key = server.open(encryption, client_public, ciphertext)
        assert opened == plaintext
        public, key = agree_as_client(encryption, server.public, lambda _size: client_secret)
        assert public == client_public
        assert key.seal(plaintext, partial(take, ciphertext)) == ciphertext
        assert key.open(reply_key.seal(b"answer")) == b"answer"


@pytest.mark.vectors("onion_outer_framing", "vectors")
def test_outermost_layer(vector: dict[str, Any], vectors: dict[str, Any]) -> None:
    packet = bytes.fromhex(vector["blob_hex"])
    layer = framing.decode_outer(packet)
    assert len(layer.blob) == vector["length_prefix"]
    assert layer.encryption.value == vector["json_part"]["enc_type"]
    assert layer.ephemeral_key.hex() == vector["json_part"]["ephemeral_key"]
    assert layer.hop == 0
    server = LayerKey(bytes.fromhex(vectors["onion_outer_framing"]["server_x25519_sk"]))
    plaintext, _ = server.open(layer.encryption, layer.ephemeral_key, layer.blob)
    assert plaintext == vector["plaintext_ascii"].encode()
    assert framing.decode(framing.encode(layer.blob, vector["json_part"])) == (layer.blob, vector["json_part"])


@pytest.mark.parametrize("encryption", Encryption)
def test_sizes_and_directions(encryption: Encryption, vectors: dict[str, Any]) -> None:
    vector = vectors["onion_channel_sizes"]
    alice, bob = (LayerKey(bytes.fromhex(vector[who]["sk"])) for who in ("alice", "bob"))
    assert (alice.public.hex(), bob.public.hex()) == (vector["alice"]["pk"], vector["bob"]["pk"])
    plaintext = bytes(vector["plaintext_length"])
    _, as_client = agree_as_client(encryption, bob.public, lambda _size: bytes.fromhex(vector["alice"]["sk"]))
    ciphertext = as_client.seal(plaintext)
    assert len(ciphertext) == vector["ciphertext_length"][encryption.value]
    assert bob.agree(encryption, alice.public).open(ciphertext) == plaintext
    # As a client towards alice, bob derives another key with xchacha20 and the same one otherwise.
    _, backwards = agree_as_client(encryption, alice.public, lambda _size: bytes.fromhex(vector["bob"]["sk"]))
    if encryption is Encryption.XCHACHA20:
        with pytest.raises(Undecryptable):
            backwards.open(ciphertext)
    else:
        assert backwards.open(ciphertext) == plaintext


@pytest.mark.parametrize(
    ("name", "encryption"),
    [
        ("aes-gcm", Encryption.AES_GCM),
        ("gcm", Encryption.AES_GCM),
        ("aes-cbc", Encryption.AES_CBC),
        ("cbc", Encryption.AES_CBC),
        ("xchacha20", Encryption.XCHACHA20),
        ("xchacha20-poly1305", Encryption.XCHACHA20),
    ],
)
def test_names_of_encryption_types(name: str, encryption: Encryption) -> None:
    assert Encryption.parse(name) is encryption


@pytest.mark.parametrize("name", ["", "AES-GCM", "rot13", None, 1, [], {}])
def test_unknown_encryption_types(name: object) -> None:
    with pytest.raises(BadEncoding):
        Encryption.parse(name)


@pytest.mark.parametrize("encryption", Encryption)
def test_keys_that_agree_on_nothing_are_refused(encryption: Encryption) -> None:
    server = LayerKey(b"\x42" * 32)
    for key in (SMALL_ORDER, b"short", b""):
        with pytest.raises(Undecryptable) as refused:
            server.open(encryption, key, bytes(100))
        assert (refused.value.status, refused.value.text) == (400, "Invalid ciphertext")
        with pytest.raises(BadKey):
            agree_as_client(encryption, key)


def test_secrets_have_32_bytes_and_are_not_printed() -> None:
    for make in (LayerKey, LayerKey.from_ed25519_seed):
        with pytest.raises(BadKey):
            make(bytes(31))
    assert "4242" not in repr(LayerKey(b"\x42" * 32))


HEADER = {"ephemeral_key": "ab" * 32}


@pytest.mark.parametrize(
    ("packet", "detail"),
    [
        (b"", "unexpected payload size"),
        (b"\0\0\0", "unexpected payload size"),
        (b"\xff\xff\xff\xff{}", "unexpected payload size"),
        (b"\x03\0\0\0ab", "unexpected payload size"),
        (b"\0\0\0\0", "invalid json"),
        (b"\0\0\0\0{", "invalid json"),
        (b"\0\0\0\0[]", "json part is no object"),
        (b"\0\0\0\0" + b"[" * 60_000, "invalid json"),
        (b"\0\0\0\0" + b" " * 70_000 + b"{}", "json part is too long"),
        (framing.encode(b"", {}), "ephemeral_key missing"),
        (framing.encode(b"", {"ephemeral_key": None}), "ephemeral_key must be 64 hex digits"),
        (framing.encode(b"", {"ephemeral_key": "ab" * 31 + "  "}), "ephemeral_key must be 64 hex digits"),
        (framing.encode(b"", HEADER | {"enc_type": "rot13"}), "unknown enc_type"),
        (framing.encode(b"", HEADER | {"enc_type": None}), "unknown enc_type"),
        (framing.encode(b"", HEADER | {"hop_no": "1"}), "hop_no must be an integer"),
        (framing.encode(b"", HEADER | {"hop_no": True}), "hop_no must be an integer"),
    ],
)
def test_outer_layers_that_cannot_be_read(packet: bytes, detail: str) -> None:
    with pytest.raises(BadOuterLayer) as refused:
        framing.decode_outer(packet)
    assert refused.value.text == f"Error parsing onion request: {detail}"
    assert (refused.value.status, refused.value.encrypted) == (400, False)


def test_an_outer_layer_above_ten_mebibytes_is_refused() -> None:
    header = framing.encode(b"", HEADER)[4:]
    room = 10 * 1024 * 1024 - 4 - len(header)
    whole = framing.encode(bytes(room), HEADER)
    assert len(whole) == 4 + room + len(header)
    assert len(framing.decode_outer(whole).blob) == room
    with pytest.raises(BadFrame):
        framing.decode(framing.encode(bytes(room + 1), HEADER) + b" ")


def test_hops_are_counted_up_to_fifteen() -> None:
    for given, read in ((0, 0), (15, 15), (-3, 0)):
        assert framing.decode_outer(framing.encode(b"x", HEADER | {"hop_no": given})).hop == read
    with pytest.raises(TooManyHops) as refused:
        framing.decode_outer(framing.encode(b"x", HEADER | {"hop_no": 16}))
    assert (refused.value.status, refused.value.text) == (400, "onion request max path length exceeded")
    assert not refused.value.encrypted


def test_errors_name_no_byte_of_the_input() -> None:
    secret = b"\0\0\0\0{" + to_base64(b"secret key").encode()
    with pytest.raises(BadOuterLayer) as refused:
        framing.decode_outer(secret)
    assert to_base64(b"secret key")[:6] not in str(refused.value)
