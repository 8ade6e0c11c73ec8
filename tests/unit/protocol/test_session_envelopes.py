"""Messages between accounts against the vectors, against another implementation, and forged in every part."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import pytest

from naisho.protocol.account import AccountId, AccountKeys
from naisho.protocol.envelope import open_sealed, pad, read_content, read_envelope, seal, unpad, unwrap, wrap
from naisho.protocol.errors import BadEnvelope, BadKey
from naisho.wire.session.v1.session_pb2 import Content, DataMessage, Envelope, WebSocketMessage, WebSocketRequestMessage

NOW = 1_700_000_000_000


@pytest.fixture
def alice(vectors: dict[str, Any]) -> AccountKeys:
    return AccountKeys(bytes.fromhex(vectors["account"]["vectors"][0]["seed_hex"]))


@pytest.fixture
def bob(vectors: dict[str, Any]) -> AccountKeys:
    return AccountKeys(bytes.fromhex(vectors["account"]["vectors"][1]["seed_hex"]))


def text(body: str) -> Content:
    return Content(dataMessage=DataMessage(body=body))


def test_the_sealed_box(vectors: dict[str, Any], alice: AccountKeys, bob: AccountKeys) -> None:
    vector = vectors["session_protocol_v1"]
    assert (alice.account_id.hex, bob.account_id.hex) == (vector["sender"], vector["recipient"])
    message = vector["message_ascii"].encode()
    sealed = seal(alice, bob.account_id, message, deterministic=True)
    assert sealed.hex() == vector["ciphertext_hex"]
    opened = open_sealed(bob, sealed)
    assert opened.padded == message
    assert opened.sender == alice.account_id
    inner = opened.padded + opened.sender_key + alice.sign(message + alice.ed25519_public + bob.x25519_public)
    assert inner.hex() == vector["signed_plaintext_hex"]
    assert seal(alice, bob.account_id, message) != seal(alice, bob.account_id, message)


@pytest.mark.vectors("session_protocol_v1", "padding")
def test_padding_of_both_kinds_comes_off(vector: dict[str, int]) -> None:
    content = b"x" * vector["length"]
    padded = pad(content)
    assert len(padded) == vector["libsession_padded_length"]
    assert unpad(padded) == content
    legacy = (content + b"\x80").ljust(vector["legacy_padded_length"], b"\0")
    assert unpad(legacy) == content


def test_content_without_padding_stays_as_it_is() -> None:
    for content in (b"", b"hello", b"hello\0\0", b"\0", b"\x81"):
        assert unpad(content) == content
    assert unpad(b"\x80") == b""
    assert unpad(pad(b"ends in the mark \x80\0")) == b"ends in the mark \x80\0"


def test_a_message_there(alice: AccountKeys, bob: AccountKeys) -> None:
    data = wrap(alice, bob.account_id, text("hello"), NOW)
    received = unwrap(bob, data)
    assert received.sender == alice.account_id
    assert received.timestamp_ms == received.content.sigTimestamp == NOW
    assert received.content.dataMessage.body == "hello"
    envelope = read_envelope(data)
    assert len(envelope.proSig) == 64
    assert not envelope.HasField("source")
    for secret in (alice.account_id.raw, alice.account_id.hex.encode(), alice.ed25519_public, b"hello"):
        assert secret not in data


def test_other_clients_read_ours_and_we_read_theirs(other: ModuleType, alice: AccountKeys, bob: AccountKeys) -> None:
    their_bob = other.SessionKeys(bob.seed.hex())
    outer = other.WebSocketMessage.FromString(wrap(alice, bob.account_id, text("to them"), NOW))
    envelope = other.Envelope.FromString(outer.request.body)
    assert (envelope.type, envelope.timestamp) == (6, NOW)
    padded, sender = other.decrypt_with_session_protocol(their_bob, envelope.content)
    assert sender == alice.account_id.hex
    assert Content.FromString(other.remove_message_padding(padded)).dataMessage.body == "to them"
    plain = other.add_message_padding(text("to us").SerializeToString())
    sealed = other.encrypt_using_session_protocol(their_bob, alice.account_id.hex, plain)
    theirs = other.Envelope(type=6, timestamp=NOW, content=sealed).SerializeToString()
    received = unwrap(alice, other.wrap_envelope(theirs))
    assert (received.sender, received.content.dataMessage.body) == (bob.account_id, "to us")


def envelope_of(sealed: bytes, timestamp: int = NOW) -> bytes:
    envelope = Envelope(type=Envelope.SESSION_MESSAGE, timestamp=timestamp, content=sealed)
    request = WebSocketRequestMessage(body=envelope.SerializeToString())
    return WebSocketMessage(type=WebSocketMessage.REQUEST, request=request).SerializeToString()


def test_a_message_for_another_is_not_opened(alice: AccountKeys, bob: AccountKeys) -> None:
    with pytest.raises(BadEnvelope, match="another account"):
        unwrap(alice, wrap(alice, bob.account_id, text("hello"), NOW))


def test_a_message_sent_on_to_a_third_is_refused(alice: AccountKeys, bob: AccountKeys) -> None:
    """The signature names the recipient, so bob cannot pass alice's message on as if written to carol."""
    carol = AccountKeys.generate()
    opened = open_sealed(bob, seal(alice, bob.account_id, pad(b"")))
    signature = alice.sign(opened.padded + alice.ed25519_public + bob.x25519_public)
    boxed = crypto_box_seal_for(carol, opened.padded + alice.ed25519_public + signature)
    with pytest.raises(BadEnvelope, match="signature"):
        open_sealed(carol, boxed)


def crypto_box_seal_for(recipient: AccountKeys, inner: bytes) -> bytes:
    bindings = importlib.import_module("nacl.bindings")
    return bytes(bindings.crypto_box_seal(inner, recipient.x25519_public))


def test_an_envelope_with_another_time_is_refused(alice: AccountKeys, bob: AccountKeys) -> None:
    data = wrap(alice, bob.account_id, text("hello"), NOW)
    moved = envelope_of(read_envelope(data).content, NOW + 1)
    with pytest.raises(BadEnvelope, match="time"):
        unwrap(bob, moved)
    unsigned = seal(alice, bob.account_id, pad(text("old client").SerializeToString()))
    assert unwrap(bob, envelope_of(unsigned, 5)).timestamp_ms == 5


@pytest.mark.parametrize("inner_length", [0, 1, 95])
def test_boxes_too_short_to_be_signed(inner_length: int, bob: AccountKeys) -> None:
    with pytest.raises(BadEnvelope):
        open_sealed(bob, crypto_box_seal_for(bob, bytes(inner_length)))


def test_every_flipped_bit_of_a_box_is_noticed(alice: AccountKeys, bob: AccountKeys) -> None:
    sealed = seal(alice, bob.account_id, b"hello")
    for index in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[index] ^= 1 << index % 8
        with pytest.raises(BadEnvelope):
            open_sealed(bob, bytes(damaged))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"\x08\x01",
        WebSocketMessage(
            type=WebSocketMessage.RESPONSE, request=WebSocketRequestMessage(body=b"x")
        ).SerializeToString(),
        WebSocketMessage(
            type=WebSocketMessage.REQUEST, request=WebSocketRequestMessage(body=b"\xff")
        ).SerializeToString(),
        WebSocketMessage(
            type=WebSocketMessage.REQUEST, request=WebSocketRequestMessage(verb="PUT")
        ).SerializeToString(),
        WebSocketMessage(type=WebSocketMessage.REQUEST, request=WebSocketRequestMessage(body=b"")).SerializeToString(),
        WebSocketMessage(
            type=WebSocketMessage.REQUEST,
            request=WebSocketRequestMessage(
                body=Envelope(type=Envelope.CLOSED_GROUP_MESSAGE, timestamp=1, content=b"x").SerializeToString()
            ),
        ).SerializeToString(),
        WebSocketMessage(
            type=WebSocketMessage.REQUEST,
            # Type 9 is unknown: it must not pass for the enumeration's first value.
            request=WebSocketRequestMessage(body=b"\x08\x09\x28\x01\x42\x01x"),
        ).SerializeToString(),
        bytes(76_801),
    ],
)
def test_data_that_is_no_message_between_accounts(data: bytes, bob: AccountKeys) -> None:
    with pytest.raises(BadEnvelope):
        unwrap(bob, data)


def test_text_that_is_not_text_is_refused() -> None:
    assert read_content(text("é").SerializeToString()).dataMessage.body == "é"
    for broken in (
        b"\x0a\x04\x0a\x02\xff\xfe",
        b"\x0a\x08\xaa\x06\x05\x0a\x03\xff\xfe\xfd",
        b"\x1a\x04\x12\x02\xff\xfe",
    ):
        with pytest.raises(BadEnvelope, match="UTF-8"):
            read_content(broken)


def test_only_ordinary_accounts_with_a_key_are_written_to(alice: AccountKeys) -> None:
    with pytest.raises(BadKey):
        wrap(alice, AccountId.parse("03" + "ab" * 32), text("hello"), NOW)
    with pytest.raises(BadKey):
        wrap(alice, AccountId.parse("05" + "00" * 32), text("hello"), NOW)
    with pytest.raises(BadKey):
        seal(alice, AccountId.parse("05" + "00" * 32), b"", deterministic=True)


def test_a_message_too_long_for_a_mailbox_is_refused_before_it_is_sent(alice: AccountKeys, bob: AccountKeys) -> None:
    assert len(wrap(alice, bob.account_id, text("x" * 76_000), NOW)) <= 76_800
    with pytest.raises(BadEnvelope, match="longer than the 76800"):
        wrap(alice, bob.account_id, text("x" * 77_000), NOW)


def test_the_content_given_is_not_changed(alice: AccountKeys, bob: AccountKeys) -> None:
    content = text("hello")
    wrap(alice, bob.account_id, content, NOW)
    assert not content.HasField("sigTimestamp")
