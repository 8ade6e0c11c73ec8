"""One end of a connection with one stream: frames, flow control, keep-alive (RFC 9113), and gRPC's messages in it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar, cast

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from services.chassis.http2 import hpack
from services.chassis.http2.flow import Allowance, Window
from services.chassis.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_SIZE,
    HEAD,
    HEADERS,
    INITIAL_WINDOW,
    LARGEST_FRAME,
    LONGEST_HEADERS,
    NUMBER,
    PADDED,
    PING,
    PREFACE,
    PREFIX,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    STREAM,
    WINDOW_UPDATE,
    ProtocolError,
    frame,
    hello,
    number_in,
    settings_in,
    unpad,
)
from services.chassis.http2.inbox import Inbox

M = TypeVar("M", bound=Message)

#: Messages held for a reader that does not take them; beyond, the other end gets no further allowance to send.
_HELD: Final = 2**20
#: Seconds of silence after which the other end is asked for a sign of life, and again until it is given up.
_SILENCE: Final = 20.0


def error(code: grpc.StatusCode, details: str) -> grpc.aio.AioRpcError:
    """Return what gRPC raises when a call ends so."""
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)


class Stream(asyncio.Protocol, ABC, Generic[M]):
    """A stream of messages in both directions, and the connection that it has to itself.

    To its user it behaves as a call of ``grpc.aio`` does. One task reads and one writes.

    Args:
        message: type of the messages read.
        client: this end opens the stream.
    """

    def __init__(self, message: type[M], *, client: bool) -> None:
        self._inbox = Inbox(message)
        self._client = client
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        #: Length of the buffer from which on it holds something complete.
        self._need = 0
        self._preface_missing = not client
        self._settings_missing = True
        #: Header block whose end is missing, and whether the stream ends with it.
        self._block: bytearray | None = None
        self._block_ends = False
        self._allowance = Allowance()
        self._window = Window()
        #: The transport has more than it can pass on.
        self._choked = False
        #: Messages may not be sent yet.
        self._mute = True
        #: Messages may come.
        self._opened = client
        self._input_ended = False
        self._error: grpc.aio.AioRpcError | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._heard = True
        self._asked = False
        self._timer: asyncio.TimerHandle | None = None

    # For the user.

    async def read(self) -> M | object:
        """Return the next message; ``grpc.aio.EOF`` at the stream's end.

        Raises:
            grpc.aio.AioRpcError: the stream ended in any other way.
        """
        while not self._inbox:
            if self._input_ended:
                return grpc.aio.EOF
            if self._error is not None:
                raise self._error
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        message = self._inbox.pop()
        self._allow()
        return message

    def offer_to(self, taker: Callable[[M], bool]) -> None:
        """Have each message offered when it arrives: no task must wake for it. What is refused waits to be read.

        Args:
            taker: returns whether it takes the message; must not raise.
        """
        self._inbox.taker = taker

    def __aiter__(self) -> Stream[M]:
        """Iterate over the messages to the stream's end."""
        return self

    async def __anext__(self) -> M:
        """Return the next message."""
        message = await self.read()
        if message is grpc.aio.EOF:
            raise StopAsyncIteration
        return cast("M", message)

    async def write(self, message: Message) -> None:
        """Send a message; return when the transport has it all and the other end keeps up.

        Raises:
            grpc.aio.AioRpcError: the stream has ended.
        """
        body = message.SerializeToString()
        data = PREFIX.pack(0, len(body)) + body
        while self._mute or self._error is not None:
            await self._room()
        if len(data) <= self._window.available:
            self._send_data(data)
        else:
            await self._write_in_pieces(memoryview(data))
        while self._choked:
            await self._room()

    def write_now(self, message: Message) -> bool:
        """Send a message if that needs no waiting; else nothing is sent. Not while another is being written."""
        if self._mute or self._choked or self._error is not None:
            return False
        body = message.SerializeToString()
        if PREFIX.size + len(body) > self._window.available:
            return False
        self._send_data(PREFIX.pack(0, len(body)) + body)
        return True

    async def _write_in_pieces(self, rest: memoryview) -> None:
        while rest:
            while self._choked or not self._window.available:
                await self._room()
            piece = bytes(rest[: self._window.available])
            rest = rest[len(piece) :]
            self._send_data(piece)

    def _send_data(self, data: bytes) -> None:
        self._window.use(len(data))
        self._send(frame(DATA, 0, STREAM, data))

    async def _room(self) -> None:
        if self._error is not None:
            raise self._error
        self._writer = asyncio.get_running_loop().create_future()
        try:
            await self._writer
        finally:
            self._writer = None

    def cancel(self) -> bool:
        """Cut the connection off; false if it had ended before."""
        if self._error is not None:
            return False
        self._end(error(grpc.StatusCode.CANCELLED, "cancelled at this end"))
        return True

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send our settings."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by name
        if self._error is not None:  # cancelled meanwhile
            self._transport.abort()
            return
        more = frame(WINDOW_UPDATE, 0, 0, NUMBER.pack(Allowance.FULL - Window.INITIAL))
        self._send(hello(Allowance.FULL, client=self._client) + more)
        self._timer = asyncio.get_running_loop().call_later(_SILENCE, self._watch)

    def pause_writing(self) -> None:
        """Let the writer wait."""
        self._choked = True

    def resume_writing(self) -> None:
        """Let the writer go on."""
        self._choked = False
        self._wake_writer()

    def _speak(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Send the headers of our direction; messages may follow."""
        self._send(frame(HEADERS, END_HEADERS, STREAM, hpack.encode(headers)))
        self._mute = False
        self._wake_writer()

    def connection_lost(self, cause: Exception | None) -> None:
        """End the stream if it has not ended."""
        self._end(error(grpc.StatusCode.UNAVAILABLE, f"the connection was lost: {type(cause).__name__}"))

    def data_received(self, data: bytes) -> None:
        """Take frames."""
        self._heard = True
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._need:
                return
            data = bytes(self._buffer)
            self._buffer.clear()
        try:
            rest = self._take(data)
        except (ProtocolError, hpack.BadHeaders, DecodeError) as problem:
            self._end(error(grpc.StatusCode.INTERNAL, f"the other end sent nonsense: {type(problem).__name__}"))
            return
        self._buffer += rest

    # Frames.

    def _take(self, data: bytes) -> bytes:
        """Handle all frames that are complete; return the rest."""
        at = 0
        if self._preface_missing:
            at = self._need = len(PREFACE)
            if data[:at] != PREFACE[: len(data)]:
                raise ProtocolError("no HTTP/2")
            if len(data) < at:
                return data
            self._preface_missing = False
        while len(data) - at >= HEAD.size and self._error is None:
            high, low, kind, flags, stream = HEAD.unpack_from(data, at)
            size = high << 8 | low
            if size > LARGEST_FRAME:
                raise ProtocolError("a frame is too large")
            end = at + HEAD.size + size
            if end > len(data):
                self._need = end - at
                return data[at:]
            self._frame(kind, flags, stream & 0x7FFFFFFF, data[at + HEAD.size : end])
            at = end
        self._need = HEAD.size
        return data[at:]

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._settings_missing and kind != SETTINGS:
            raise ProtocolError("the first frame must be SETTINGS")
        if (self._block is not None) != (kind == CONTINUATION):
            raise ProtocolError("a header block is interrupted")
        if kind == DATA:
            self._on_data(flags, stream, payload)
        elif kind in {HEADERS, CONTINUATION}:
            self._on_headers(kind, flags, stream, payload)
        elif kind == WINDOW_UPDATE:
            self._on_window(stream, payload)
        elif kind == SETTINGS:
            self._on_settings(flags, payload)
        elif kind == PING:
            self._on_ping(flags, payload)
        elif kind == RST_STREAM and stream == STREAM:
            code = grpc.StatusCode.CANCELLED if number_in(payload) == 8 else grpc.StatusCode.UNAVAILABLE  # noqa: PLR2004
            self._end(error(code, "the other end reset the stream"))
        elif kind == PUSH_PROMISE:
            raise ProtocolError("nothing may be pushed")
        # Else one that tells nothing new: GOAWAY forbids further streams, of which there are none.

    def _on_data(self, flags: int, stream: int, payload: bytes) -> None:
        if stream != STREAM or not self._opened or self._input_ended:
            raise ProtocolError("data outside of a stream")
        if not self._allowance.take(len(payload)):
            raise ProtocolError("more data than allowed")
        if flags & PADDED:
            payload = unpad(payload)
        self._inbox.add(payload)
        self._allow()
        if flags & END_STREAM:
            self._input_ends()
        if self._inbox:
            self._wake_reader()

    def _allow(self) -> None:
        """Let the other end send on, unless nobody takes what it sent."""
        if self._inbox.held <= _HELD and self._error is None and (more := self._allowance.renew()):
            number = NUMBER.pack(more)
            self._send(frame(WINDOW_UPDATE, 0, 0, number) + frame(WINDOW_UPDATE, 0, STREAM, number))

    def _on_headers(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if stream != STREAM:
            raise ProtocolError("a second stream")
        if kind == HEADERS:
            if flags & PADDED:
                payload = unpad(payload)
            self._block = bytearray(payload[5:] if flags & PRIORITY else payload)
            self._block_ends = bool(flags & END_STREAM)
        else:
            assert self._block is not None
            self._block += payload
        if len(self._block) > LONGEST_HEADERS:
            raise ProtocolError("a header block is too long")
        if flags & END_HEADERS:
            block, self._block = bytes(self._block), None
            self._on_block(dict(hpack.decode(block)), ends=self._block_ends)

    @abstractmethod
    def _on_block(self, headers: dict[bytes, bytes], *, ends: bool) -> None:
        """Take the headers of the request or the response, or the trailers."""

    def _on_window(self, stream: int, payload: bytes) -> None:
        if stream not in {0, STREAM} or not self._window.widen(stream, number_in(payload)):
            raise ProtocolError("a window is too wide")
        self._wake_writer()

    def _on_settings(self, flags: int, payload: bytes) -> None:
        self._settings_missing = False
        if flags & ACK:
            return
        told = settings_in(payload)
        if not self._window.begin_with(told.get(INITIAL_WINDOW, self._window.initial)):
            raise ProtocolError("a window is too wide")
        self._window.frame = told.get(FRAME_SIZE, self._window.frame)
        self._reply(frame(SETTINGS, ACK, 0, b""))
        self._wake_writer()

    def _on_ping(self, flags: int, payload: bytes) -> None:
        if not flags & ACK:
            self._reply(frame(PING, ACK, 0, payload))

    # The end, and what keeps it away.

    def _watch(self) -> None:
        """Ask for a sign of life after a silence; give up after another."""
        if self._heard:
            self._asked = False
        elif self._asked:
            self._end(error(grpc.StatusCode.UNAVAILABLE, "the other end fell silent"))
            return
        else:
            self._asked = True
            self._send(frame(PING, 0, 0, bytes(8)))
        self._heard = False
        self._timer = asyncio.get_running_loop().call_later(_SILENCE, self._watch)

    def _input_ends(self) -> None:
        self._input_ended = True
        self._wake_reader()

    def _end(self, reason: grpc.aio.AioRpcError) -> None:
        """End the stream; cut the connection off."""
        if self._error is not None:
            return
        self._error = reason
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        self._wake_reader()
        self._wake_writer()

    def _send(self, data: bytes) -> None:
        if self._transport is not None and self._error is None:
            self._transport.write(data)

    def _reply(self, data: bytes) -> None:
        """Send what was asked for, but not to somebody who asks and does not read."""
        if self._choked:
            raise ProtocolError("questions without an ear for the answers")
        self._send(data)

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _wake_writer(self) -> None:
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)
