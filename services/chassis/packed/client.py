"""The calling end of a packed stream."""

from __future__ import annotations

import asyncio
import enum
import math
import random
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol, Self

import grpc
import grpc.aio

from naisho.wire.stream.v1.stream_pb2 import Packet
from services.chassis.packed.errors import FrameTooLarge, StreamBroken, StreamBusy, StreamError, StreamTimeout
from services.chassis.packed.frames import Limits, Outbox, Prompt, Reply


class Stream(Protocol):
    """What calls travel over: a call of ``grpc.aio``, or a ``chassis.http2.Stream``."""

    async def read(self) -> Packet | object:
        """Return the next packet, or something else at the end."""
        ...

    async def write(self, packet: Packet, /) -> None:
        """Send a packet."""
        ...

    def cancel(self) -> bool:
        """End the stream."""
        ...


#: Turns an answer, or the reason why there is none, into a call's result.
Outcome = Callable[[Reply | StreamError], Reply]

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0


class StreamState(enum.Enum):
    """Where a client's stream stands."""

    #: Nothing was asked yet; the next call connects.
    IDLE = "idle"
    #: Waiting for the peer's first packet. Calls are queued.
    CONNECTING = "connecting"
    OPEN = "open"
    #: Pausing after a failure. Calls are refused.
    BROKEN = "broken"
    CLOSED = "closed"


class _Call(NamedTuple):
    future: asyncio.Future[Reply]
    deadline: float
    outcome: Outcome | None

    def settle(self, answer: Reply | StreamError) -> bool:
        """Give the caller his answer; false if nobody waits for one."""
        if self.future.done():
            return False
        if self.outcome is not None:
            self.future.set_result(self.outcome(answer))
        elif isinstance(answer, Reply):
            self.future.set_result(answer)
        else:
            self.future.set_exception(answer)
        return True


class PackedClient:
    """Calls over one stream, made anew when it breaks. Use as ``async with``, or `start` and `close`.

    Frames queued in one turn of the loop, and whatever comes while a write is under way, leave as one packet.

    Args:
        open_stream: opens the gRPC stream, e.g. ``MailboxServiceStub(channel).Exchange``.
        limits: bounds on calls under way and bytes queued.
        on_demand: connect with the first call, and again with the first call after a break; else at once.
        connect_timeout: seconds until a stream whose peer says nothing counts as broken.
        on_state: told every change of state, in the loop; must not raise.
    """

    def __init__(
        self,
        open_stream: Callable[[], Stream],
        limits: Limits | None = None,
        *,
        on_demand: bool = False,
        connect_timeout: float = 5.0,
        on_state: Callable[[StreamState], None] | None = None,
    ) -> None:
        self.timed_out = 0
        self.broken = 0
        self.refused = 0
        #: Answers that came after their call had ended.
        self.late = 0
        self._open_stream = open_stream
        self._limits = limits or Limits()
        self._on_demand = on_demand
        self._connect_timeout = connect_timeout
        self._on_state = on_state
        self._state = StreamState.IDLE if on_demand else StreamState.CONNECTING
        self._changed = asyncio.Event()
        self._outbox = Outbox(self._limits.packet_bytes, self._crowd)
        self._calls: dict[int, _Call] = {}
        self._loop = asyncio.get_running_loop()
        self._last_number = 0
        self._next_expiry = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def state(self) -> StreamState:
        """Where the stream stands now."""
        return self._state

    @property
    def in_flight(self) -> int:
        """Calls whose answer has not come."""
        return len(self._calls)

    def _crowd(self) -> int:
        return len(self._calls)

    def start(self) -> None:
        """Begin to connect (or to wait for the first call)."""
        self._task = asyncio.create_task(self._run())

    async def close(self, grace: float = 0.0) -> None:
        """Refuse new calls, give those in flight `grace` seconds, fail the rest with `StreamBroken`, end the stream."""
        if self._state is StreamState.CLOSED:
            return
        self._set_state(StreamState.CLOSED)
        if grace and self._calls:
            await asyncio.wait([call.future for call in self._calls.values()], timeout=grace)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._fail_all("the stream was closed")
        self._set_timer(math.inf)

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def wait_for(self, state: StreamState) -> None:
        """Wait until the stream stands there."""
        while self._state is not state:
            self._changed.clear()
            await self._changed.wait()

    async def call(self, code: int, body: bytes, timeout: float) -> Reply:  # noqa: ASYNC109 - one shared timer is the point
        """Send a call and wait for its answer, `timeout` seconds at most.

        Raises:
            StreamBusy, FrameTooLarge: nothing was sent.
            StreamBroken, StreamTimeout: the peer may have acted on it.
        """
        future = self.submit(code, body, timeout)
        number = self._last_number
        try:
            return await future
        finally:
            self._calls.pop(number, None)

    def submit(self, code: int, body: bytes, timeout: float, outcome: Outcome | None = None) -> asyncio.Future[Reply]:
        """Send a call and return the future of its answer.

        It fails with `StreamBroken` or `StreamTimeout`, unless `outcome` makes an answer of that; it sees every answer
        before the future does, and must not raise.

        Raises:
            StreamBusy, FrameTooLarge, StreamBroken: nothing was sent.
        """
        size = len(body)
        if size > self._limits.body_bytes:
            raise FrameTooLarge(self._limits.body_bytes)
        if self._state is not StreamState.OPEN:
            self._ensure_connecting()
        if len(self._calls) >= self._limits.calls or self._outbox.bytes + size > self._limits.queued_bytes:
            self.refused += 1
            raise StreamBusy("too many calls are under way")
        future: asyncio.Future[Reply] = self._loop.create_future()
        deadline = self._loop.time() + timeout
        self._last_number = number = self._last_number + 1
        self._calls[number] = _Call(future, deadline, outcome)
        self._outbox.put(number, code, body)
        if deadline < self._next_expiry:
            self._set_timer(deadline)
        return future

    def _ensure_connecting(self) -> None:
        if self._state is StreamState.IDLE:
            self._set_state(StreamState.CONNECTING)
        elif self._state is not StreamState.CONNECTING:
            raise StreamBroken("there is no stream to the peer")

    def _set_state(self, state: StreamState) -> None:
        if state is self._state or self._state is StreamState.CLOSED:
            return
        self._state = state
        self._changed.set()
        if self._on_state is not None:
            self._on_state(state)

    # Time-outs: one timer, set for the earliest deadline; calls mostly end before it rings.

    def _set_timer(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next_expiry = deadline
        self._timer = None if deadline == math.inf else self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        now = self._loop.time()
        for number in [number for number, call in self._calls.items() if call.deadline <= now]:
            self.timed_out += self._calls.pop(number).settle(StreamTimeout("no answer in time"))
        self._timer = None
        self._set_timer(min((call.deadline for call in self._calls.values()), default=math.inf))

    # The stream's life.

    async def _run(self) -> None:
        loop = self._loop
        pause = _FIRST_PAUSE
        while True:
            if self._state is StreamState.IDLE:
                await self.wait_for(StreamState.CONNECTING)
            began = loop.time()
            reason = await self._exchange()
            self._set_state(StreamState.BROKEN)
            self._fail_all(reason)
            if loop.time() - began > _LONGEST_PAUSE:
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause * (0.5 + random.random() / 2))  # noqa: S311 - jitter, not a secret
            pause = min(2 * pause, _LONGEST_PAUSE)
            self._set_state(StreamState.IDLE if self._on_demand else StreamState.CONNECTING)

    async def _exchange(self) -> str:
        """Run one stream until it breaks; return why."""
        try:
            stream = self._open_stream()
        except Exception as error:  # noqa: BLE001 - whatever it is, there is no stream; nobody else could be told
            return f"the stream could not be opened: {type(error).__name__}"
        if isinstance(stream, Prompt):
            self._outbox.write_now = stream.write_now
        writer = asyncio.create_task(self._write(stream))
        try:
            await self._read(stream)
        except grpc.aio.AioRpcError as error:
            return f"the stream broke: {error.code().name}"
        except TimeoutError:
            return "the peer did not open the stream in time"
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return "the stream broke while writing"  # the writer cancelled the stream, not somebody this task
        finally:
            stream.cancel()
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return "the peer ended the stream"

    async def _read(self, stream: Stream) -> None:
        async with asyncio.timeout(self._connect_timeout):
            packet = await stream.read()
        if isinstance(packet, Packet):
            self._set_state(StreamState.OPEN)
            if isinstance(stream, Prompt):
                stream.offer_to(self._take_now)
        while isinstance(packet, Packet):  # else the end of the stream
            self._take(packet)
            packet = await stream.read()

    def _take_now(self, packet: Packet) -> bool:
        """Give callers their answers as they arrive, if the stream is calm."""
        if not self._outbox.calm:
            return False
        self._take(packet)
        return True

    def _take(self, packet: Packet) -> None:
        """Give callers their answers."""
        for frame in packet.frames:
            call = self._calls.pop(frame.id, None)
            if call is None:
                self.late += 1
            else:
                call.settle(Reply(frame.code, frame.body, frame.binary))

    async def _write(self, stream: Stream) -> None:
        try:
            while (packet := await self._outbox.take()) is not None:
                await stream.write(packet)
        finally:
            stream.cancel()  # so that the reader learns of it

    def _fail_all(self, reason: str) -> None:
        self._outbox = Outbox(self._limits.packet_bytes, self._crowd)
        calls = list(self._calls.values())
        self._calls.clear()
        for call in calls:
            self.broken += call.settle(StreamBroken(reason))
