"""What both ends of a packed stream share: replies, handlers, limits, and the queue of frames not yet written."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, runtime_checkable

from naisho.wire.stream.v1.stream_pb2 import Packet

MIB: Final = 2**20
#: What a frame costs beside its body, at most: tags, lengths, id, code and flag.
FRAME_OVERHEAD: Final = 32


class Reply(NamedTuple):
    """The answer to a call."""

    #: An HTTP status code.
    status: int
    body: bytes
    #: The body is bytes of no declared type, not text or JSON.
    binary: bool = False


#: Answers a call, given its code and body: at once (a `Reply`), by a future, or by a coroutine, which costs a task.
Handler = Callable[[int, bytes], Reply | Awaitable[Reply]]

#: What the server answers beyond its limits, before any work (wire 6, status 503).
BUSY: Final = Reply(503, b"Server busy, try again later")
#: What the server answers for a handler that raised; it never says why.
FAILED: Final = Reply(500, b"request failed")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one end of a packed stream.

    Attributes:
        calls: calls under way at most; further ones are refused.
        queued_bytes: bytes of bodies held at most; further calls are refused, and a server stops reading.
        body_bytes: the largest body of one call or answer. A request of 10 MiB and its framing fit.
        packet_bytes: a packet is closed when another frame would take it beyond this (one frame may exceed it).
    """

    calls: int = 1024
    queued_bytes: int = 48 * MIB
    body_bytes: int = 11 * MIB
    packet_bytes: int = MIB


@runtime_checkable
class Prompt(Protocol):
    """A stream that does at once what needs no waiting, as ``chassis.http2.Stream`` does: no task must wake for it."""

    def write_now(self, packet: Packet, /) -> bool:
        """Send a packet if that needs no waiting; else nothing is sent. Not while another is being written."""
        ...

    def offer_to(self, taker: Callable[[Packet], bool], /) -> None:
        """Have each packet offered when it arrives; what is refused waits to be read."""
        ...


#: With so few calls under way, frames are written at once.
_FEW: Final = 4
#: With more, a packet waits so long for each of them, that it carries many: a packet costs the same for one or twenty.
_PAUSE_EACH: Final = 0.0001
_LONGEST_PAUSE: Final = 0.008
#: A stream is calm when so few were under way for so many seconds: the first of a crowd are not to run ahead of it.
_CALM_S: Final = 0.1


class Outbox:
    """Frames waiting to be written, already packed. Its size is bounded by those who put into it.

    Args:
        packet_bytes: see ``Limits``.
        under_way: how many calls are, now.

    Attributes:
        write_now: sends a packet past the one who takes, while he waits; see ``Prompt``.
    """

    def __init__(self, packet_bytes: int, under_way: Callable[[], int]) -> None:
        self.bytes = 0
        self.write_now: Callable[[Packet], bool] | None = None
        self._under_way = under_way
        self._loop = asyncio.get_running_loop()
        self._calm_from = 0.0
        self._packet_bytes = packet_bytes
        self._packets: deque[tuple[Packet, int]] = deque()
        self._open = Packet()
        self._open_bytes = 0
        self._closed = False
        self._taker: asyncio.Future[None] | None = None

    def put(self, number: int, code: int, body: bytes, *, binary: bool = False) -> None:
        """Send a frame if that can be done now and few are under way, or add it to the open packet.

        The one who takes wakes in the next turn of the loop.
        """
        size = len(body) + FRAME_OVERHEAD
        if self._open_bytes and self._open_bytes + size > self._packet_bytes:
            self._packets.append((self._open, self._open_bytes))
            self._open = Packet()
            self._open_bytes = 0
        frame = self._open.frames.add(id=number, code=code, body=body)
        if binary:
            frame.binary = True
        self._open_bytes += size
        self.bytes += size
        alone = self.bytes == size and self._taker is not None and not self._taker.done()
        if alone and self.write_now is not None and self.calm and self.write_now(self._open):
            self._next()
        else:
            self._wake()

    @property
    def calm(self) -> bool:
        """Whether few calls are under way, and not many were lately: what can be done at once may be."""
        if self._under_way() >= _FEW:
            self._calm_from = self._loop.time() + _CALM_S
            return False
        return self._loop.time() > self._calm_from

    def _next(self) -> Packet:
        """Return the open packet, and begin a new one."""
        packet, self._open = self._open, Packet()
        self.bytes -= self._open_bytes
        self._open_bytes = 0
        return packet

    def close(self) -> None:
        """Let `take` return None once everything is taken."""
        self._closed = True
        self._wake()

    async def take(self) -> Packet | None:
        """Wait for frames and return the oldest packet; None when closed and empty. One taker at a time."""
        while not self._open_bytes:
            if self._closed:
                return None
            self._taker = asyncio.get_running_loop().create_future()
            try:
                await self._taker
            finally:
                self._taker = None
        if not self._packets and not self.calm and (crowd := self._under_way()) >= _FEW:
            await asyncio.sleep(min(crowd * _PAUSE_EACH, _LONGEST_PAUSE))
        if not self._packets:
            return self._next()
        packet, size = self._packets.popleft()
        self.bytes -= size
        return packet

    def _wake(self) -> None:
        if self._taker is not None and not self._taker.done():
            self._taker.set_result(None)
