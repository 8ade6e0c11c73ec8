"""Parse HTTP/1.1 request heads and chunked bodies (RFC 9112), strictly. Pure.

Whatever two readers could understand differently is refused: repeated or malformed lengths, a length beside chunks,
folded or unnamed headers, bare line feeds, control characters.

    RequestError
    ├── BadRequest          400, saying what is wrong
    ├── HeadTooLarge        431
    ├── UnknownVersion      505
    └── BodyTooLarge        413
"""

from __future__ import annotations

import re
from typing import Final

from services.onion.api.http1.messages import Head

# Sets of bytes, for ``translate`` to delete: what is left over is not in the set. Many times faster than expressions.
_TOKEN: Final = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VISIBLE: Final = bytes(range(0x21, 0x7F))
_TEXT: Final = b"\t \r\n" + _VISIBLE + bytes(range(0x80, 0x100))
_LONGEST_NAME: Final = 64
_LONGEST_TARGET: Final = 2048
_LONGEST_LENGTH: Final = 15
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[\t\x20-\x7e]*)?")
_LONGEST_CHUNK_LINE: Final = 256
_LONGEST_TRAILERS: Final = 2048
#: Each costs a few microseconds; chunks of half a kilobyte are small enough for everybody.
_MOST_CHUNKS: Final = 20_480
_VERSIONS: Final = frozenset((b"HTTP/1.1", b"HTTP/1.0"))
_SINGLE: Final = frozenset((b"content-length", b"transfer-encoding", b"host"))


class RequestError(ValueError):
    """The request cannot be read; the connection closes after the answer."""

    status = 400


class BadRequest(RequestError):
    """Malformed; the text says how."""


class HeadTooLarge(RequestError):
    """More or longer headers than allowed."""

    status = 431


class UnknownVersion(RequestError):
    """Neither HTTP/1.1 nor HTTP/1.0."""

    status = 505


class BodyTooLarge(RequestError):
    """The body exceeds the limit."""

    status = 413


def parse_head(head: bytes, max_fields: int) -> Head:
    """Parse a request line and headers, given without the empty line behind them.

    Raises:
        BadRequest, HeadTooLarge, UnknownVersion: see the module.
    """
    lines = head.split(b"\r\n")
    breaks = len(lines) - 1
    if head.translate(None, _TEXT) or head.count(b"\r") != breaks or head.count(b"\n") != breaks:
        raise BadRequest("control characters in the request's head")
    if breaks > max_fields:
        raise HeadTooLarge(f"more than {max_fields} headers")
    request_line = lines[0].split(b" ")
    if len(request_line) != 3:  # noqa: PLR2004 - method, target, version
        raise BadRequest("the request line is not: METHOD TARGET VERSION")
    method, target, version = request_line
    if not _is_token(method) or not 0 < len(target) <= _LONGEST_TARGET or target.translate(None, _VISIBLE):
        raise BadRequest("malformed method or target")
    if version not in _VERSIONS:
        raise UnknownVersion("only HTTP/1.1 is spoken here")
    headers = _headers(lines)
    keep_alive = version == b"HTTP/1.1"
    connection = headers.get(b"connection")
    if connection is not None:
        keep_alive = keep_alive and b"close" not in connection.lower()
    return Head(method.decode(), target.decode(), headers, _length(headers), keep_alive)


def _is_token(text: bytes) -> bool:
    return 0 < len(text) <= _LONGEST_NAME and not text.translate(None, _TOKEN)


def _headers(lines: list[bytes]) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for i in range(1, len(lines)):
        name, colon, value = lines[i].partition(b":")
        if not colon or not _is_token(name):
            raise BadRequest("malformed header")
        name = name.lower()
        if name in _SINGLE and name in headers:
            raise BadRequest("a header that may stand once stands twice")
        headers[name] = value.strip(b" \t")
    return headers


def _length(headers: dict[bytes, bytes]) -> int | None:
    coding = headers.get(b"transfer-encoding")
    length = headers.get(b"content-length")
    if coding is not None:
        if length is not None or coding.lower() != b"chunked":
            raise BadRequest("the body must have a Content-Length, or be chunked and nothing else")
        return None
    if length is None:
        return 0
    if not length.isdigit() or len(length) > _LONGEST_LENGTH:
        raise BadRequest("Content-Length is not a number")
    return int(length)


class ChunkedBody:
    """Reads a chunked body piece by piece, in linear time and with no memory per chunk.

    Args:
        limit: bytes of body allowed.
    """

    def __init__(self, limit: int) -> None:
        self.body = bytearray()
        self._limit = limit
        #: An incomplete line, at most a few hundred bytes.
        self._rest = b""
        #: Bytes that the present chunk lacks.
        self._missing = 0
        #: A chunk has ended; its line break comes next.
        self._at_break = False
        self._in_trailers = False
        self._chunks = 0
        self._trailer_bytes = 0

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes; return what lies behind the body once it is complete, else None.

        Raises:
            BadRequest: malformed.
            BodyTooLarge: above the limit.
        """
        data = self._rest + data
        self._rest = b""
        at = 0
        while True:
            after = self._read_chunk(data, at)
            if after is None:
                return None
            at = after
            end = data.find(b"\r\n", at, at + _LONGEST_CHUNK_LINE + 2)
            if end < 0:
                self._rest = data[at:]
                if len(self._rest) > _LONGEST_CHUNK_LINE:
                    raise BadRequest("a line between chunks is too long")
                return None
            line = data[at:end]
            at = end + 2
            if not self._in_trailers:
                self._begin(line)
            elif not line:
                return data[at:]
            else:
                self._trailer_bytes += len(line)
                if self._trailer_bytes > _LONGEST_TRAILERS:
                    raise BadRequest("the trailers are too long")

    def _read_chunk(self, data: bytes, at: int) -> int | None:
        """Take the rest of the present chunk and its line break; return where it ends, or None if more must come."""
        if self._missing:
            piece = data[at : at + self._missing]
            self.body += piece
            at += len(piece)
            self._missing -= len(piece)
            if self._missing:
                return None
            self._at_break = True
        if self._at_break:
            if len(data) - at < 2:  # noqa: PLR2004 - a line break
                self._rest = data[at:]
                return None
            if data[at : at + 2] != b"\r\n":
                raise BadRequest("a chunk does not end with a line break")
            at += 2
            self._at_break = False
        return at

    def _begin(self, line: bytes) -> None:
        match = _CHUNK_SIZE.fullmatch(line)
        if match is None:
            raise BadRequest("malformed chunk size")
        size = int(match[1], 16)
        if len(self.body) + size > self._limit:
            raise BodyTooLarge("the chunks exceed the limit")
        self._chunks += 1
        if self._chunks > _MOST_CHUNKS:
            raise BadRequest(f"more than {_MOST_CHUNKS} chunks")
        self._missing = size
        self._in_trailers = not size
