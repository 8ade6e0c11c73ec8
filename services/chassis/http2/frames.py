"""What travels: frames and their parts (RFC 9113, 4 and 6), and gRPC's messages in them."""

from __future__ import annotations

from struct import Struct
from typing import Final

#: The largest message, as gRPC's own endpoints here have it.
MAX_MESSAGE: Final = 12 * 2**20
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
STREAM: Final = 1
DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32
TABLE_SIZE, PUSH, STREAMS, INITIAL_WINDOW, FRAME_SIZE, LIST_SIZE = 1, 2, 3, 4, 5, 6

#: The largest frame that we take.
LARGEST_FRAME: Final = 256 * 1024
LONGEST_HEADERS: Final = 8 * 1024
#: What everybody takes at least.
SMALLEST_FRAME: Final = 16_384

HEAD: Final = Struct(">HBBBI")
PREFIX: Final = Struct(">BI")
SETTING: Final = Struct(">HI")
NUMBER: Final = Struct(">I")


class ProtocolError(Exception):
    """The other end does not speak HTTP/2 as it must."""


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Write a frame."""
    size = len(payload)
    return HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload


def message_size(data: bytes | bytearray, at: int = 0) -> int:
    """Return the size of the message that begins here; 0 if too little of it is known."""
    if len(data) - at < PREFIX.size:
        return 0
    packed, size = PREFIX.unpack_from(data, at)
    if packed:
        raise ProtocolError("a compressed message")
    if size > MAX_MESSAGE:
        raise ProtocolError("a message is too large")
    return int(size)


def hello(window: int, *, client: bool) -> bytes:
    """Write what a connection begins with: our settings, behind the preface if we are the client."""
    settings = {
        TABLE_SIZE: 0,
        INITIAL_WINDOW: window,
        FRAME_SIZE: LARGEST_FRAME,
        LIST_SIZE: LONGEST_HEADERS,
        **({PUSH: 0} if client else {STREAMS: 1}),
    }
    told = frame(SETTINGS, 0, 0, b"".join(SETTING.pack(*pair) for pair in settings.items()))
    return PREFACE + told if client else told


def settings_in(payload: bytes) -> dict[int, int]:
    """Read settings."""
    if len(payload) % SETTING.size:
        raise ProtocolError("malformed settings")
    settings = dict(SETTING.iter_unpack(payload))
    if not SMALLEST_FRAME <= settings.get(FRAME_SIZE, SMALLEST_FRAME) < 2**24:
        raise ProtocolError("not a size for frames")
    return settings


def unpad(payload: bytes) -> bytes:
    """Return what a padded frame carries."""
    if not payload or payload[0] >= len(payload):
        raise ProtocolError("more padding than frame")
    return payload[1 : len(payload) - payload[0]]


def number_in(payload: bytes) -> int:
    """Return the number of 31 bits that a frame consists of."""
    if len(payload) != NUMBER.size:
        raise ProtocolError("a number must have four bytes")
    return int(NUMBER.unpack(payload)[0]) & 0x7FFFFFFF
