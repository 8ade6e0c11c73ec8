"""Requests, responses, limits, and what answers them."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, NamedTuple, Protocol

from services.chassis.packed import Reply

TEXT: Final = "text/plain"
JSON: Final = "application/json"
BINARY: Final = "application/octet-stream"
_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}


class Head(NamedTuple):
    """The first part of a request, checked."""

    method: str
    #: As sent: printable ASCII, path and query.
    target: str
    #: Names in lower case; of repeated ones the last.
    headers: dict[bytes, bytes]
    #: Declared length of the body; None if it comes in chunks.
    length: int | None
    keep_alive: bool


class Request(NamedTuple):
    """A complete request."""

    head: Head
    body: bytes


class Response(NamedTuple):
    """What goes back."""

    status: int
    body: bytes = b""
    content_type: str = TEXT
    headers: tuple[tuple[str, str], ...] = ()


def to_response(reply: Reply) -> Response:
    """Turn a node's answer into HTTP; JSON answers are objects, and no other text begins with a brace."""
    if reply.binary:
        return Response(reply.status, reply.body, BINARY)
    return Response(reply.status, reply.body, JSON if reply.body[:1] == b"{" else TEXT)


class Site(Protocol):
    """What a server serves."""

    def admit(self, head: Head, peer: str) -> Response | None:
        """Refuse a request before its body is read, or return None. `peer` is the client's IP address."""
        ...

    def answer(self, request: Request) -> Response | Awaitable[Response | Reply]:
        """Answer a request: at once, or by an awaitable; a future costs less than a coroutine."""
        ...


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bounds of one server. Times in seconds, sizes in bytes.

    Attributes:
        connections: open at once; beyond, the one idle for longest is closed, and if none is idle the new one is.
        requests: being read, answered or written at once; beyond, 503.
        held: bytes of bodies held at once, requests and responses; beyond, 503 for new requests.
        body: the largest request body; beyond, 413.
        head: request line and headers together; beyond, 431.
        fields: number of headers; beyond, 431.
        handshake: for the TLS handshake.
        head_time: from a request's first byte to the end of its headers.
        body_time: until a body has arrived, or at least ``slowest`` bytes of it for each second,
            and so on; beyond, 408.
        answer_time: from there until the answer begins; beyond, 504.
        write_time: until the client has taken an answer, or at least ``slowest`` bytes of it for each
            second, and so on; beyond, the connection is cut.
        slowest: bytes per second that a client must manage.
        idle_time: between requests.
        linger_time: how long a refused body is still read and dropped, so that the client sees the refusal.
    """

    connections: int = 1024
    requests: int = 1024
    held: int = 96 * 2**20
    body: int = 10 * 2**20
    head: int = 16 * 1024
    fields: int = 64
    handshake: float = 10.0
    head_time: float = 10.0
    body_time: float = 10.0
    answer_time: float = 60.0
    write_time: float = 10.0
    slowest: int = 4 * 1024
    idle_time: float = 60.0
    linger_time: float = 3.0


#: Refusals that the server makes itself; after them the connection closes.
BUSY: Final = Response(503, b"Server busy, try again later")
TOO_LARGE: Final = Response(413, b"Request body too large")
FAILED: Final = Response(500, b"request failed")
SLOW: Final = Response(408, b"The request's body did not arrive in time")
LATE: Final = Response(504, b"Request time out")


def encode(response: Response, *, keep_alive: bool, date: bytes, only_head: bool = False) -> bytes:
    """Write a response as HTTP/1.1. `date` is the value of the Date header."""
    status, body, content_type, headers = response
    extra = "".join(f"{name}: {value}\r\n" for name, value in headers) if headers else ""
    if not keep_alive:
        extra += "Connection: close\r\n"
    head = (
        f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\n"  # others are relayed from servers
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{extra}Date: "
    )
    return b"%b%b\r\n\r\n%b" % (head.encode("latin-1"), date, b"" if only_head else body)
