"""What a stream can do at once is done at once, and only while few calls are under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import cast

import pytest

from naisho.wire.stream.v1.stream_pb2 import Packet
from services.chassis.packed import Limits, Load, PackedClient, Reply, StreamBroken, serve_packed
from services.chassis.packed.frames import Outbox

SECOND = 1.0


class Prompt:
    """A stream whose other end is the test: it sees what was written at once and what by a task."""

    def __init__(self) -> None:
        self.at_once: list[Packet] = []
        self.by_task: list[Packet] = []
        self.blocked = False
        self.taker: Callable[[Packet], bool] | None = None
        self._incoming: asyncio.Queue[Packet | None] = asyncio.Queue()
        self._written = asyncio.Event()

    def write_now(self, packet: Packet, /) -> bool:
        if self.blocked:
            return False
        self.at_once.append(packet)
        return True

    def offer_to(self, taker: Callable[[Packet], bool], /) -> None:
        self.taker = taker

    def arrive(self, packet: Packet | None) -> bool:
        """Have a packet come in (``None``: the end); true if it was taken at once."""
        if packet is not None and self.taker is not None and self.taker(packet):
            return True
        self._incoming.put_nowait(packet)
        return False

    async def read(self) -> Packet | object:
        return await self._incoming.get()

    async def write(self, packet: Packet, /) -> None:
        self.by_task.append(packet)
        self._written.set()

    async def until(self, packets: int) -> None:
        """Wait until a task has written so many packets in all."""
        async with asyncio.timeout(SECOND):
            while len(self.by_task) < packets:
                self._written.clear()
                await self._written.wait()

    def cancel(self) -> bool:
        self._incoming.put_nowait(None)
        return True

    def __aiter__(self) -> AsyncIterator[Packet]:
        return self

    async def __anext__(self) -> Packet:
        packet = await self._incoming.get()
        if packet is None:
            raise StopAsyncIteration
        return packet


def calls(*numbers: int) -> Packet:
    packet = Packet()
    for number in numbers:
        packet.frames.add(id=number, code=200, body=b"%d" % number)
    return packet


def numbers(packets: list[Packet]) -> list[list[int]]:
    return [[frame.id for frame in packet.frames] for packet in packets]


async def turns(count: int = 6) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Served:
    """The answering end on a prompt stream, run as a servicer does."""

    def __init__(self, stream: Prompt, handler: Callable[[int, bytes], Reply | asyncio.Future[Reply]]) -> None:
        self.load = Load()
        self.stream = stream
        answers = serve_packed(stream, handler, Limits(), self.load)
        self._answers = cast("AsyncGenerator[Packet, None]", answers)
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async for packet in self._answers:
            await self.stream.write(packet)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._answers.aclose()


@pytest.fixture
def stream() -> Prompt:
    return Prompt()


async def test_a_lone_call_is_answered_where_it_arrives(stream: Prompt) -> None:
    served = Served(stream, Reply)
    await turns()
    assert numbers(stream.by_task) == [[]], "the packet that opens the stream"
    assert stream.arrive(calls(7))
    assert numbers(stream.at_once) == [[7]], "no task has run since"
    await served.stop()


async def test_what_cannot_be_written_at_once_is_written_by_the_task(stream: Prompt) -> None:
    served = Served(stream, Reply)
    await turns()
    stream.blocked = True
    assert stream.arrive(calls(7))
    assert stream.arrive(calls(8))
    await turns()
    assert stream.at_once == []
    assert numbers(stream.by_task) == [[], [7, 8]]
    await served.stop()


async def test_in_a_crowd_everything_takes_the_common_way(stream: Prompt) -> None:
    waiting: list[asyncio.Future[Reply]] = []

    def handler(_code: int, _body: bytes) -> asyncio.Future[Reply]:
        waiting.append(asyncio.get_running_loop().create_future())
        return waiting[-1]

    served = Served(stream, handler)
    await turns()
    assert [stream.arrive(calls(number)) for number in range(6)] == [True] * 4 + [False] * 2
    await turns()
    assert len(waiting) == 6, "what was not taken at once was read"
    for future in waiting:
        future.set_result(Reply(200, b""))
    await stream.until(2)
    assert numbers(stream.by_task) == [[], [0, 1, 2, 3, 4, 5]], "they leave together"
    assert not stream.arrive(calls(9)), "the first of the next crowd do not run ahead of it"
    await served.stop()


async def test_a_large_packet_is_left_to_the_one_who_reads(stream: Prompt) -> None:
    served = Served(stream, Reply)
    await turns()
    assert not stream.arrive(calls(*range(33)))
    await turns()
    assert served.load.answered == 33
    await served.stop()


async def test_nothing_begins_on_a_stream_that_has_ended(stream: Prompt) -> None:
    served = Served(stream, Reply)
    await turns()
    await served.stop()
    assert not stream.arrive(calls(1))
    assert served.load.answered == 0


async def test_a_lone_call_leaves_and_is_settled_at_once(stream: Prompt) -> None:
    async with PackedClient(lambda: stream) as client:
        stream.arrive(Packet())
        await turns()
        future = client.submit(1, b"a", SECOND)
        assert numbers(stream.at_once) == [[1]]
        assert stream.arrive(calls(1))
        assert future.done()
        assert await future == Reply(200, b"1")


async def test_calls_of_one_turn_that_become_a_crowd_leave_together_but_for_the_first(stream: Prompt) -> None:
    async with PackedClient(lambda: stream) as client:
        stream.arrive(Packet())
        await turns()
        futures = [client.submit(1, b"a", SECOND) for _ in range(10)]
        assert numbers(stream.at_once) == [[1], [2], [3]]
        await stream.until(1)
        assert numbers(stream.by_task) == [list(range(4, 11))]
        assert not stream.arrive(calls(*range(1, 11)))
        assert [reply.body for reply in await asyncio.gather(*futures)] == [b"%d" % n for n in range(1, 11)]


async def test_a_prompt_stream_that_ends_fails_its_calls(stream: Prompt) -> None:
    async with PackedClient(lambda: stream) as client:
        stream.arrive(Packet())
        await turns()
        future = client.submit(1, b"a", SECOND)
        stream.arrive(None)
        with pytest.raises(StreamBroken):
            await future


async def test_an_outbox_is_calm_again_a_while_after_a_crowd() -> None:
    crowd = 0
    outbox = Outbox(1000, lambda: crowd)
    assert outbox.calm
    crowd = 4
    assert not outbox.calm
    crowd = 0
    assert not outbox.calm
    async with asyncio.timeout(SECOND):
        while not outbox.calm:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
