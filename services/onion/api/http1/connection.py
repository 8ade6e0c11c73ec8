"""One client's connection: requests in, one at a time, responses out, every wait with a deadline."""

from __future__ import annotations

import asyncio
import enum
import math
from typing import TYPE_CHECKING, Final, cast

from services.chassis.packed import Reply
from services.onion.api.http1.messages import (
    BUSY,
    FAILED,
    LATE,
    SLOW,
    TOO_LARGE,
    Head,
    Request,
    Response,
    encode,
    to_response,
)
from services.onion.api.http1.parsing import BodyTooLarge, ChunkedBody, RequestError, parse_head

if TYPE_CHECKING:
    from services.onion.api.http1.server import HttpServer

#: Bytes of later requests kept while one is answered; beyond, reading stops.
_READ_AHEAD: Final = 64 * 1024
#: Large responses are written in pieces of this size, each when the client has taken most of the one before.
_PIECE: Final = 64 * 1024
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Phase(enum.Enum):
    """What a connection waits for."""

    IDLE = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()
    ANSWER = enum.auto()
    WRITE = enum.auto()
    #: A refusal was sent; what still comes is dropped, so that the client reads the refusal and not a reset.
    LINGER = enum.auto()
    #: Closing; what was written is still on its way.
    CLOSING = enum.auto()


#: A request may begin, or go on, in these.
_HEARING: Final = frozenset((Phase.IDLE, Phase.HEAD, Phase.BODY))
_ANSWERING: Final = frozenset((Phase.ANSWER, Phase.WRITE))


class Connection(asyncio.Protocol):
    """A connection after its TLS handshake.

    Args:
        server: whose connection it is.
        peer: the client's IP address.
    """

    __slots__ = (
        "_buffer",
        "_chunks",
        "_head",
        "_held",
        "_keep_alive",
        "_missing",
        "_moved",
        "_parts",
        "_paused",
        "_pending",
        "_progress",
        "_rest",
        "_server",
        "_transport",
        "_under_way",
        "begun",
        "deadline",
        "peer",
        "phase",
    )

    _transport: asyncio.Transport

    def __init__(self, server: HttpServer, peer: str) -> None:
        self._server = server
        self.peer = peer
        self.phase = Phase.IDLE
        #: When this phase began, and when it ends at the latest, by the server's clock.
        self.begun = server.time()
        self.deadline = math.inf
        self._buffer = b""
        self._head: Head | None = None
        self._parts: list[bytes] = []
        self._missing = 0
        self._chunks: ChunkedBody | None = None
        self._pending: asyncio.Future[Response | Reply] | None = None
        self._keep_alive = True
        self._under_way = False
        self._held = 0
        #: What the transport has not been given yet of a response; how much it has.
        self._rest: memoryview | None = None
        self._progress = 0
        #: How much of a body had moved at the last look.
        self._moved = 0
        self._paused = False

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by name
        self._transport.set_write_buffer_limits(high=_PIECE // 2)
        self._enter(Phase.IDLE, self._server.limits.idle_time)
        self._server.keep(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self.phase in _HEARING:
            self._advance(data)
        elif self.phase in _ANSWERING:
            self._put_aside(data)

    # An end of what the client sends is the end of the connection: nobody waits for an answer behind it.

    def pause_writing(self) -> None:
        """Wait with further pieces: the client has not taken the last ones."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on writing."""
        self._paused = False
        if self.phase is Phase.WRITE and self._push():
            self._written()
            self._go_on()

    def connection_lost(self, _error: Exception | None) -> None:
        """Drop everything that was held for this client."""
        self.phase = Phase.CLOSING
        self._give_up_answer()
        self._end()
        self._buffer = b""
        self._server.forget(self)

    # What the server asks.

    def expire(self, now: float) -> None:
        """Do what is due at the deadline, or put it off for a client that makes progress."""
        if self.phase is Phase.BODY:
            if not self._put_off(now, self._server.limits.body_time, self._held):
                self._refuse(SLOW)
        elif self.phase is Phase.ANSWER:
            self._give_up_answer()
            self._refuse(LATE)
        elif self.phase is Phase.WRITE:
            if not self._put_off(now, self._server.limits.write_time, self._progress):
                self.abort()
        elif self.phase is Phase.IDLE:
            self.close()
        else:
            self.abort()

    def abort(self) -> None:
        """Cut the connection off."""
        self._transport.abort()

    def give_up(self) -> None:
        """Cut the connection off and let go at once of what is held for it."""
        self._end()
        self.abort()

    def close(self) -> None:
        """Close now if no request is under way, else behind its answer."""
        self._keep_alive = False
        if self.phase in {Phase.IDLE, Phase.HEAD}:
            self._close()

    # Phases.

    def _enter(self, phase: Phase, seconds: float) -> None:
        self.phase = phase
        self._moved = 0
        self.begun = self._server.time()
        self.deadline = self.begun + seconds

    def _put_off(self, now: float, patience: float, moved: int) -> bool:
        """Wait on if enough of the body has moved since the last look."""
        if moved - self._moved < patience * self._server.limits.slowest:
            return False
        self._moved = moved
        self.deadline = now + patience
        return True

    def _close(self) -> None:
        self._enter(Phase.CLOSING, self._server.limits.linger_time)
        self._transport.close()

    def _put_aside(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > _READ_AHEAD:
            self._transport.pause_reading()

    # Requests.

    def _advance(self, data: bytes) -> None:
        """Read requests until one has to be waited for, from the wire or from the site."""
        while data and self.phase in _HEARING:
            try:
                data = self._read_body(data) if self.phase is Phase.BODY else self._read_head(data)
            except BodyTooLarge:
                self._refuse(TOO_LARGE)
            except RequestError as error:
                self._refuse(Response(error.status, str(error).encode()))
        if data and self.phase in _ANSWERING:
            self._put_aside(data)

    def _read_head(self, data: bytes) -> bytes:
        limits = self._server.limits
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        end = data.find(b"\r\n\r\n", 0, limits.head + 4)
        if end < 0:
            if len(data) > limits.head:
                self._refuse(Response(431, b"The request's head is too long"))
                return b""
            if self.phase is Phase.IDLE:
                self._enter(Phase.HEAD, limits.head_time)
            self._buffer = data
            return b""
        head = parse_head(data[:end], limits.fields)
        rest = data[end + 4 :]
        length = head.length
        refusal = TOO_LARGE if length is not None and length > limits.body else self._server.admit(head, self.peer)
        if refusal is None and not self._begin():
            refusal = BUSY
        if refusal is not None:
            return self._turn_away(refusal, head, rest)
        if length is not None and len(rest) >= length:
            self._answer(Request(head, rest[:length]))
            return rest[length:]
        self._enter(Phase.BODY, limits.body_time)
        self._head = head
        self._missing = length or 0
        self._chunks = ChunkedBody(limits.body) if length is None else None
        if not rest and head.headers.get(b"expect", b"").lower() == b"100-continue":
            self._transport.write(_CONTINUE)
        return rest

    def _read_body(self, data: bytes) -> bytes:
        if not self._hold(len(data)):
            self._refuse(BUSY)
            return b""
        if self._chunks is not None:
            rest = self._chunks.feed(data)
            if rest is None:
                return b""
            body = bytes(self._chunks.body)
        else:
            self._parts.append(data[: self._missing])
            rest = data[self._missing :]
            self._missing -= len(self._parts[-1])
            if self._missing:
                return b""
            body = b"".join(self._parts)
        self._chunks = None
        self._parts = []
        assert self._head is not None
        self._answer(Request(self._head, body))
        return rest

    def _turn_away(self, refusal: Response, head: Head, rest: bytes) -> bytes:
        """Refuse before the body is read; a body that is here already is skipped and the connection lives on."""
        if head.length is not None and len(rest) >= head.length:
            self._respond(refusal, head)
            return rest[head.length :]
        self._refuse(refusal, only_head=head.method == "HEAD")
        return b""

    # Answers.

    def _answer(self, request: Request) -> None:
        self._head = request.head
        try:
            answer = self._server.site.answer(request)
        except Exception as error:  # noqa: BLE001 - whatever the site raises, the client gets an answer
            self._server.report(error)
            answer = FAILED
        if isinstance(answer, Response):
            self._respond(answer, request.head)
            return
        self._enter(Phase.ANSWER, self._server.limits.answer_time)
        self._pending = asyncio.ensure_future(answer)
        self._pending.add_done_callback(self._answered)

    def _answered(self, future: asyncio.Future[Response | Reply]) -> None:
        error = None if future.cancelled() else future.exception()
        if error is not None:
            self._server.report(error)
        if future is not self._pending:  # given up meanwhile
            return
        self._pending = None
        assert self._head is not None
        answer = FAILED if future.cancelled() or error is not None else future.result()
        self._respond(answer if isinstance(answer, Response) else to_response(answer), self._head)
        self._go_on()

    def _give_up_answer(self) -> None:
        if self._pending is not None:
            pending, self._pending = self._pending, None
            self._server.give_up(pending)

    def _respond(self, response: Response, head: Head) -> None:
        self._keep_alive = self._keep_alive and head.keep_alive and not self._server.draining
        data = self._encode(response, only_head=head.method == "HEAD")
        if len(data) > _PIECE and not self._hold(len(data) - self._held):
            self._keep_alive = False  # there is no room to keep it in until the client has taken it
            data = self._encode(BUSY, only_head=False)
        if len(data) <= _PIECE and not self._paused:
            self._transport.write(data)
            if not self._paused:
                self._written()
                return
        else:
            self._rest = memoryview(data)
        self._progress = 0
        self._enter(Phase.WRITE, self._server.limits.write_time)
        if self._push():
            self._written()

    def _push(self) -> bool:
        """Write what the transport takes; tell whether it has all and the client keeps up."""
        while self._rest is not None and not self._paused:
            piece, rest = self._rest[:_PIECE], self._rest[_PIECE:]
            self._rest = rest if len(rest) else None
            self._progress += len(piece)
            self._transport.write(piece)
        return self._rest is None and not self._paused

    def _refuse(self, response: Response, *, only_head: bool = False) -> None:
        """Answer, read on without looking, then close."""
        self._keep_alive = False
        self._transport.write(self._encode(response, only_head=only_head))
        self._end()
        self._buffer = b""
        self._transport.resume_reading()
        self._enter(Phase.LINGER, self._server.limits.linger_time)

    def _encode(self, response: Response, *, only_head: bool) -> bytes:
        self._server.count(response.status)
        return encode(response, keep_alive=self._keep_alive, date=self._server.date, only_head=only_head)

    def _written(self) -> None:
        self._end()
        if self._keep_alive:
            self._enter(Phase.IDLE, self._server.limits.idle_time)
        else:
            self._close()

    def _go_on(self) -> None:
        """Read the requests that came while the last one was answered."""
        if self._buffer and self.phase is Phase.IDLE:
            data, self._buffer = self._buffer, b""
            self._transport.resume_reading()
            self._advance(data)

    # What counts against the server's limits.

    def _begin(self) -> bool:
        self._under_way = self._server.begin()
        return self._under_way

    def _hold(self, size: int) -> bool:
        if not self._server.hold(size):
            return False
        self._held += size
        return True

    def _end(self) -> None:
        self._head = None
        self._chunks = None
        self._parts = []
        self._rest = None
        if self._held:
            self._server.hold(-self._held)
            self._held = 0
        if self._under_way:
            self._under_way = False
            self._server.end()
