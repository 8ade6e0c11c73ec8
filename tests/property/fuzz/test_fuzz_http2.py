"""Everything that another node, or a stranger before its handshake is judged, can send on a hop's connection."""

from __future__ import annotations

from collections.abc import Callable

from naisho.wire.stream.v1.stream_pb2 import Packet
from services.chassis.http2 import Incoming, hpack
from services.chassis.http2.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PREFACE,
    SETTINGS,
    STREAM,
    frame,
)
from tests.property.played_transport import PlayedTransport

Fuzz = Callable[..., None]
REQUEST = hpack.encode([(b":path", b"/x/y"), (b"te", b"trailers")])
#: Static table entries, a Huffman string, a literal with a new name, a changed table size.
BLOCKS = (
    REQUEST,
    bytes.fromhex("828684418cf1e3c2e5f23a6ba0ab90f4ff"),
    b"\x00\x0acustom-key\x0dcustom-header",
    b"\x20\x3f\x00\x10\x08password\x06secret",
)


def read_blocks(data: bytes) -> None:
    headers = hpack.decode(data)
    assert hpack.decode(hpack.encode(headers)) == headers


def read_connection(data: bytes) -> None:
    """Give a server's end some bytes in two pieces: it must not raise, nor answer much more than it was sent."""
    stream, wire = Incoming(Packet), PlayedTransport()
    stream.connection_made(wire)
    half = len(data) // 2
    for piece in (data[:half], data[half:]):
        if piece and not wire.aborted:
            stream.data_received(piece)
    if not wire.aborted:
        stream.connection_lost(None)
    assert wire.written <= 1024 + 8 * len(data)


def test_header_blocks(fuzz: Fuzz) -> None:
    fuzz("header block", read_blocks, list(BLOCKS), (hpack.BadHeaders,))


async def test_connections(fuzz: Fuzz) -> None:
    packet = Packet()
    packet.frames.add(id=1, code=2, body=b"body")
    text = packet.SerializeToString()
    message = b"\0" + len(text).to_bytes(4, "big") + text
    begin = PREFACE + frame(SETTINGS, 0, 0, b"\0\4\0\1\0\0") + frame(HEADERS, END_HEADERS, STREAM, REQUEST)
    seeds = [
        begin + frame(DATA, END_STREAM, STREAM, message),
        begin + frame(DATA, PADDED, STREAM, b"\3" + message + bytes(3)) + frame(6, 0, 0, bytes(8)),
        PREFACE
        + frame(SETTINGS, 0, 0, b"")
        + frame(HEADERS, 0, STREAM, REQUEST[:5])
        + frame(CONTINUATION, 4, 1, REQUEST[5:]),
        begin + frame(8, 0, 0, b"\0\0\1\0") + frame(8, 0, STREAM, b"\0\0\1\0") + frame(3, 0, STREAM, bytes(4)),
        begin + frame(7, 0, 0, bytes(8)) + frame(SETTINGS, 1, 0, b""),
    ]
    fuzz(
        "hop connection", read_connection, seeds, (), tokens=[PREFACE, *(frame(kind, 0, 1, b"") for kind in range(10))]
    )
