"""Messages between accounts, Session protocol version 1 (wire 8.1): padding, signature, sealed box, envelope.

The sender signs padded content, own key and recipient; all of it goes into a box that only the recipient opens; a
mailbox sees the box, a time and nothing else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from google.protobuf.message import DecodeError, Message
from nacl.bindings import crypto_box, crypto_box_seal, crypto_box_seal_open, crypto_box_seed_keypair
from nacl.exceptions import CryptoError

from naisho.protocol.account import ORDINARY, AccountId, AccountKeys, ed25519_to_x25519
from naisho.protocol.errors import BadEnvelope, BadKey
from naisho.protocol.limits import MAX_DATA_BYTES
from naisho.protocol.signing import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, verify
from naisho.wire.session.v1.session_pb2 import Content, Envelope, WebSocketMessage, WebSocketRequestMessage

#: Padded content is a multiple of this long.
PAD_BLOCK: Final = 160

_PAD_MARK: Final = b"\x80"
_TRAILER: Final = PUBLIC_KEY_BYTES + SIGNATURE_BYTES
_BOX_OVERHEAD: Final = 48
_NONCE_BYTES: Final = 24
_EPHEMERAL_PERSON: Final = b"SessionBoxEphemeralHashKey"
_DECOY_BYTES: Final = 64


@dataclass(frozen=True, slots=True, repr=False)
class Opened:
    """What a sealed box held; the signature has been verified."""

    #: The sender's Ed25519 key, 32 bytes.
    sender_key: bytes
    #: Padded content.
    padded: bytes

    @property
    def sender(self) -> AccountId:
        """The sender's account."""
        return AccountId(bytes([ORDINARY]) + ed25519_to_x25519(self.sender_key))


@dataclass(frozen=True, slots=True, repr=False)
class Received:
    """A message that has been opened and verified."""

    sender: AccountId
    timestamp_ms: int
    content: Content


def pad(content: bytes) -> bytes:
    """Append 0x80 and zeros up to the next multiple of 160 above ``len(content) + 1``."""
    return (content + _PAD_MARK).ljust((len(content) + 1) // PAD_BLOCK * PAD_BLOCK + PAD_BLOCK, b"\0")


def unpad(padded: bytes) -> bytes:
    """Take the padding off, of whatever length; bytes that do not end in padding are returned as they are."""
    stripped = padded.rstrip(b"\0")
    return stripped[:-1] if stripped.endswith(_PAD_MARK) else padded


def wrap(sender: AccountKeys, recipient: AccountId, content: Content, timestamp_ms: int) -> bytes:
    """Make what is stored in the recipient's mailbox, namespace 0.

    Args:
        sender: who signs.
        recipient: an ordinary account; the sender's own for the copy to other devices.
        content: the message; its ``sigTimestamp`` is set to ``timestamp_ms`` in a copy.
        timestamp_ms: the message's time, which also names it to other clients.

    Raises:
        BadKey: no ordinary account, or no account that anybody can have.
        BadEnvelope: longer than a mailbox takes.
    """
    signed = Content()
    signed.CopyFrom(content)
    signed.sigTimestamp = timestamp_ms
    envelope = Envelope(
        type=Envelope.SESSION_MESSAGE,
        timestamp=timestamp_ms,
        content=seal(sender, recipient, pad(signed.SerializeToString())),
        proSig=os.urandom(_DECOY_BYTES),  # as every client does, so that nobody sees who pays
    )
    request = WebSocketRequestMessage(verb="PUT", path="/api/v1/message", id=0, body=envelope.SerializeToString())
    data = WebSocketMessage(type=WebSocketMessage.REQUEST, request=request).SerializeToString()
    if len(data) > MAX_DATA_BYTES:
        raise BadEnvelope(f"a message of {len(data)} bytes is longer than the {MAX_DATA_BYTES} that a mailbox takes")
    return data


def unwrap(recipient: AccountKeys, data: bytes) -> Received:
    """Open what was stored in one's own mailbox, namespace 0.

    Raises:
        BadEnvelope: not for this account, damaged, signed wrongly, or signed for another time than it says.
    """
    envelope = read_envelope(data)
    opened = open_sealed(recipient, envelope.content)
    content = read_content(unpad(opened.padded))
    # Old clients do not sign the time; nobody else can take it out.
    if content.HasField("sigTimestamp") and content.sigTimestamp != envelope.timestamp:
        raise BadEnvelope("the signed time is not the envelope's")
    try:
        return Received(opened.sender, envelope.timestamp, content)
    except BadKey:
        raise BadEnvelope("the sender's key belongs to no account") from None


def seal(sender: AccountKeys, recipient: AccountId, padded: bytes, *, deterministic: bool = False) -> bytes:
    """Sign padded content for a recipient and seal it.

    Args:
        sender: who signs.
        recipient: an ordinary account.
        padded: content with its padding.
        deterministic: derive the box's ephemeral key, so that the same input always makes the same bytes.

    Raises:
        BadKey: no ordinary account, or no account that anybody can have.
    """
    if recipient.prefix != ORDINARY:
        raise BadKey("only ordinary accounts have a key to seal to")
    public = recipient.key
    signed = padded + sender.ed25519_public
    inner = signed + sender.sign(signed + public)
    try:
        if not deterministic:
            return bytes(crypto_box_seal(inner, public))
        seed = blake2b(sender.ed25519_seed + public + padded, digest_size=32, key=_EPHEMERAL_PERSON).digest()
        ephemeral_public, ephemeral_secret = crypto_box_seed_keypair(seed)
        nonce = blake2b(ephemeral_public + public, digest_size=_NONCE_BYTES).digest()
        return bytes(ephemeral_public + crypto_box(inner, nonce, public, ephemeral_secret))
    except (CryptoError, RuntimeError):
        raise BadKey("no account has this key") from None


def open_sealed(recipient: AccountKeys, sealed: bytes) -> Opened:
    """Open a sealed box and verify who signed it for this recipient.

    Raises:
        BadEnvelope: not for this account, damaged, or signed wrongly.
    """
    if not _BOX_OVERHEAD + _TRAILER <= len(sealed) <= MAX_DATA_BYTES:
        raise BadEnvelope("no sealed message has this length")
    try:
        inner = bytes(crypto_box_seal_open(sealed, recipient.x25519_public, recipient.x25519_secret))
    except CryptoError:
        raise BadEnvelope("sealed for another account, or damaged") from None
    padded, key, signature = inner[:-_TRAILER], inner[-_TRAILER:-SIGNATURE_BYTES], inner[-SIGNATURE_BYTES:]
    if not verify(key, padded + key + recipient.x25519_public, signature):
        raise BadEnvelope("the sender's signature is wrong")
    return Opened(key, padded)


def read_envelope(data: bytes) -> Envelope:
    """Read the two outer messages; the content stays sealed.

    Raises:
        BadEnvelope: not an ordinary message.
    """
    if len(data) > MAX_DATA_BYTES:
        raise BadEnvelope("longer than a mailbox takes")
    outer = WebSocketMessage()
    envelope = Envelope()
    _parse(outer, data)
    if outer.type != WebSocketMessage.REQUEST or not outer.request.HasField("body"):
        raise BadEnvelope("carries no envelope")
    _parse(envelope, outer.request.body)
    # A type that we do not know reads as absent, and an absent one as the first.
    if not envelope.HasField("type") or envelope.type != Envelope.SESSION_MESSAGE:
        raise BadEnvelope("not a message between accounts")
    if not envelope.HasField("timestamp") or not envelope.HasField("content"):
        raise BadEnvelope("an envelope has a time and content")
    return envelope


def read_content(data: bytes) -> Content:
    """Read a message that has been opened; every text in it is text.

    Raises:
        BadEnvelope: cannot be read.
    """
    content = Content()
    _parse(content, data)
    _check_texts(content)
    return content


def _parse(message: Message, data: bytes) -> None:
    try:
        message.ParseFromString(data)
    except DecodeError:
        raise BadEnvelope("not the protobuf message that it should be") from None


def _check_texts(message: Message) -> None:
    """Refuse text that is not UTF-8, which the runtime would hand out as bytes. Depth is the message types' own."""
    for field, value in message.ListFields():
        for item in value if field.is_repeated else (value,):
            if field.type == field.TYPE_MESSAGE:
                _check_texts(item)
            elif field.type == field.TYPE_STRING and not isinstance(item, str):
                raise BadEnvelope("a text is not UTF-8")
