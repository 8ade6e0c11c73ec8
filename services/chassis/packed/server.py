"""The answering end of a packed stream."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable
from functools import partial
from typing import Any, Final

from naisho.wire.stream.v1.stream_pb2 import Frame, Packet
from services.chassis.packed.frames import BUSY, FAILED, Handler, Limits, Outbox, Prompt, Reply

log = logging.getLogger(__name__)

#: Calls begun in one turn of the loop: a large packet must not hold up everybody else.
_CALLS_PER_TURN: Final = 32


class Load:
    """What the streams that share it have under way, and what became of the calls before."""

    __slots__ = ("_idle", "answered", "bytes_in_hand", "calls_in_hand", "draining", "failed", "refused")

    def __init__(self) -> None:
        self.calls_in_hand = 0
        self.bytes_in_hand = 0
        self.answered = 0
        self.refused = 0
        self.failed = 0
        #: Refuse every new call.
        self.draining = False
        self._idle: asyncio.Event | None = None

    def begin(self, size: int) -> None:
        """Count a call of `size` bytes as under way."""
        self.calls_in_hand += 1
        self.bytes_in_hand += size

    def end(self, size: int) -> None:
        """Count it as ended."""
        self.calls_in_hand -= 1
        self.bytes_in_hand -= size
        if self._idle is not None and not self.calls_in_hand:
            self._idle.set()

    async def drain(self) -> None:
        """Refuse new calls and wait for those under way."""
        self.draining = True
        if self.calls_in_hand:
            self._idle = self._idle or asyncio.Event()
            await self._idle.wait()


async def serve_packed(
    requests: AsyncIterator[Packet], handler: Handler, limits: Limits | None = None, load: Load | None = None
) -> AsyncIterator[Packet]:
    """Answer a packed stream: yield packets of answers, in whatever order the handler finishes.

    The first packet is empty: it tells the other end that the stream is open. Beyond the limits a call is answered 503
    before any work; a handler that raises is answered 500. When the other end does not take its answers, reading stops.
    When the stream ends, whatever is under way is cancelled; when only its requests end, it is finished first.

    In a servicer (gRPC wants an asynchronous generator there)::

        async def Exchange(self, request_iterator, context):
            async for packet in serve_packed(request_iterator, self._handle, limits, self._load):
                yield packet

    Args:
        requests: the request iterator of a gRPC servicer; if it is the whole stream and a ``Prompt`` one, answers to
            few calls go past the packets that are yielded.
        handler: answers each call.
        limits: bounds; those on calls and bytes count all streams that share `load`.
        load: counters to share between streams and to show in metrics.
    """
    exchange = _Exchange(handler, limits or Limits(), load or Load())
    if isinstance(requests, Prompt):
        requests.offer_to(exchange.begin_now)
        exchange.outbox.write_now = requests.write_now
    reader = asyncio.create_task(exchange.read(requests))
    try:
        yield Packet()
        while (packet := await exchange.take()) is not None:
            yield packet
        await reader
    finally:
        reader.cancel()
        # Behind this, every task of a call has begun, and will clear up after itself when it is cancelled.
        await asyncio.gather(reader, return_exceptions=True)
        await asyncio.gather(*exchange.cancel(), return_exceptions=True)


class _Exchange:
    """One stream: its calls under way and its answers not yet written."""

    def __init__(self, handler: Handler, limits: Limits, load: Load) -> None:
        self._handler = handler
        self._limits = limits
        self._load = load
        self._under_way: dict[int, asyncio.Future[Any]] = {}
        self.outbox = Outbox(limits.packet_bytes, self._under_way.__len__)
        self._ended = False
        self._reading = True
        self._taken = asyncio.Event()

    async def read(self, requests: AsyncIterator[Packet]) -> None:
        """Begin calls as they arrive until the requests end."""
        begun = 0
        try:
            async for packet in requests:
                for frame in packet.frames:
                    self._begin(frame)
                    begun += 1
                    if begun % _CALLS_PER_TURN == 0:
                        await asyncio.sleep(0)
                while self.outbox.bytes > self._limits.queued_bytes:
                    self._taken.clear()
                    await self._taken.wait()
        finally:
            self._reading = False
            self._close_if_done()

    def begin_now(self, packet: Packet) -> bool:
        """Begin a packet's calls as it arrives, if the stream is calm."""
        few = len(packet.frames) <= _CALLS_PER_TURN and self.outbox.bytes <= self._limits.queued_bytes
        if self._ended or not few or not self.outbox.calm:
            return False
        for frame in packet.frames:
            self._begin(frame)
        return True

    async def take(self) -> Packet | None:
        """Return the next packet of answers; None when no more can come."""
        packet = await self.outbox.take()
        self._taken.set()
        return packet

    def cancel(self) -> list[asyncio.Future[Any]]:
        """Cancel everything under way and return it."""
        self._ended = True
        under_way = list(self._under_way.values())
        for future in under_way:
            future.cancel()
        return under_way

    def _begin(self, frame: Frame) -> None:
        number, body, load = frame.id, frame.body, self._load
        size = len(body)
        if (
            load.calls_in_hand >= self._limits.calls
            or load.bytes_in_hand + size > self._limits.queued_bytes
            or load.draining
            or number in self._under_way
        ):
            load.refused += 1
            self.outbox.put(number, BUSY.status, BUSY.body)
            return
        try:
            answer = self._handler(frame.code, body)
            if isinstance(answer, Reply):
                self._answer(number, answer)
                return
            if isinstance(answer, asyncio.Future):
                answer.add_done_callback(partial(self._finish, number, size))
                self._under_way[number] = answer
            else:
                self._under_way[number] = asyncio.create_task(self._await(number, size, answer))
        except Exception as error:  # noqa: BLE001 - whatever a handler raises, its caller gets an answer
            self._fail(number, error)
            return
        load.begin(size)

    async def _await(self, number: int, size: int, answer: Awaitable[Reply]) -> None:
        try:
            self._answer(number, await answer)
        except asyncio.CancelledError:
            self._give_up(number)
            raise
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(number, error)
        finally:
            self._end(number, size)

    def _finish(self, number: int, size: int, future: asyncio.Future[Reply]) -> None:
        if future.cancelled():
            self._give_up(number)
        elif (error := future.exception()) is not None:
            self._fail(number, error)
        else:
            self._answer(number, future.result())
        self._end(number, size)

    def _give_up(self, number: int) -> None:
        if not self._ended:  # the handler cancelled itself
            self._fail(number, None)

    def _end(self, number: int, size: int) -> None:
        self._load.end(size)
        del self._under_way[number]
        self._close_if_done()

    def _close_if_done(self) -> None:
        if not self._reading and not self._under_way:
            self.outbox.close()

    def _answer(self, number: int, reply: Reply) -> None:
        if len(reply.body) > self._limits.body_bytes:
            self._fail(number, None)
            return
        self._load.answered += 1
        self.outbox.put(number, reply.status, reply.body, binary=reply.binary)

    def _fail(self, number: int, error: BaseException | None) -> None:
        self._load.failed += 1
        self.outbox.put(number, FAILED.status, FAILED.body)
        if error is not None:
            # The type and the place, never the text: that may quote the request.
            log.error("a handler failed: %s at %s", type(error).__name__, _place(error))


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    with contextlib.suppress(AttributeError):
        return f"{trace.tb_frame.f_globals['__name__']}:{trace.tb_lineno}"  # type: ignore[union-attr]
    return "unknown place"
