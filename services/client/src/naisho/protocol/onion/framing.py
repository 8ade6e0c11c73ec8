"""Framing of a layer (wire 5.1): u32 little-endian length, that much ciphertext, then a JSON object to the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final

import orjson

from naisho.protocol.encoding import from_hex
from naisho.protocol.errors import BadEncoding, BadFrame, BadOuterLayer, TooManyHops
from naisho.protocol.limits import MAX_HEADER_BYTES, MAX_HOPS, MAX_ONION_BYTES
from naisho.protocol.onion.encryption import KEY_BYTES, UNNAMED, Encryption

_LENGTH: Final = Struct("<I")


@dataclass(frozen=True, slots=True, repr=False)
class OuterLayer:
    """A layer as it arrives from outside: what the receiving hop decrypts, and with what."""

    blob: bytes
    #: 32 bytes.
    ephemeral_key: bytes
    encryption: Encryption
    #: Hops behind it so far, as it says; 0 to 15.
    hop: int


def encode(blob: bytes, header: Mapping[str, Any]) -> bytes:
    """Frame a ciphertext and the JSON object that goes beside it."""
    return b"".join((_LENGTH.pack(len(blob)), blob, orjson.dumps(header)))


def decode(data: bytes) -> tuple[bytes, dict[str, Any]]:
    """Split a frame into ciphertext and JSON object.

    Raises:
        BadFrame: too short or too long, the length points behind the end, or what follows is no JSON object of at most
            ``MAX_HEADER_BYTES``.
    """
    if not _LENGTH.size <= len(data) <= MAX_ONION_BYTES:
        raise BadFrame("unexpected payload size")
    end = _LENGTH.size + _LENGTH.unpack_from(data)[0]
    if end > len(data):
        raise BadFrame("unexpected payload size")
    if len(data) - end > MAX_HEADER_BYTES:
        raise BadFrame("json part is too long")
    try:
        header = orjson.loads(memoryview(data)[end:])
    except orjson.JSONDecodeError:
        raise BadFrame("invalid json") from None
    if not isinstance(header, dict):
        raise BadFrame("json part is no object")
    return data[_LENGTH.size : end], header


def decode_outer(data: bytes) -> OuterLayer:
    """Read the outermost layer of a packet.

    A negative ``hop_no`` counts as 0; clients may start above it to hide that they are first.

    Raises:
        BadOuterLayer: cannot be read.
        TooManyHops: ``hop_no`` is above ``MAX_HOPS``.
    """
    try:
        blob, header = decode(data)
    except BadFrame as error:
        raise BadOuterLayer(str(error)) from None
    if "ephemeral_key" not in header:
        raise BadOuterLayer("ephemeral_key missing")
    try:
        ephemeral_key = from_hex(header["ephemeral_key"], KEY_BYTES)
    except BadEncoding:
        raise BadOuterLayer("ephemeral_key must be 64 hex digits") from None
    try:
        encryption = Encryption.parse(header.get("enc_type", UNNAMED))
    except BadEncoding:
        raise BadOuterLayer("unknown enc_type") from None
    hop = header.get("hop_no", 0)
    if not isinstance(hop, int) or isinstance(hop, bool):
        raise BadOuterLayer("hop_no must be an integer")
    check_hop(hop)
    return OuterLayer(blob, ephemeral_key, encryption, max(0, hop))


def check_hop(hop: int) -> None:
    """Refuse a layer that has come too far.

    Raises:
        TooManyHops: above ``MAX_HOPS``.
    """
    if hop > MAX_HOPS:
        raise TooManyHops
