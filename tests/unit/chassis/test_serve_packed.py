"""The answering end alone, driven by hand, for moments that a network cannot be brought to on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import cast

import pytest

from naisho.wire.stream.v1.stream_pb2 import Packet
from services.chassis.packed import BUSY, FAILED, Handler, Limits, Load, Reply, serve_packed


def packet(*bodies: bytes) -> Packet:
    made = Packet()
    for number, body in enumerate(bodies):
        made.frames.add(id=number, code=7, body=body)
    return made


async def requests(*packets: Packet, then_wait: bool = False) -> AsyncIterator[Packet]:
    for each in packets:
        yield each
    if then_wait:
        await asyncio.Event().wait()


async def answers(handler: Handler, *packets: Packet, limits: Limits | None = None) -> dict[int, Reply]:
    stream = serve_packed(requests(*packets), handler, limits)
    return {f.id: Reply(f.code, f.body, f.binary) async for each in stream for f in each.frames}


async def test_the_first_packet_is_empty() -> None:
    stream = serve_packed(requests(), Reply)
    assert [each async for each in stream] == [Packet()]


async def test_all_is_answered_before_the_stream_ends() -> None:
    async def slow(_code: int, body: bytes) -> Reply:
        for _ in range(10):
            await asyncio.sleep(0)
        return Reply(200, body, binary=True)

    assert await answers(slow, packet(b"a", b"b")) == {0: Reply(200, b"a", True), 1: Reply(200, b"b", True)}


async def test_tasks_that_have_not_begun_when_the_stream_ends_leave_nothing_behind() -> None:
    entered: list[bytes] = []

    async def handler(_code: int, body: bytes) -> Reply:
        entered.append(body)
        await asyncio.Event().wait()
        return Reply(200, body)

    load = Load()
    stream = cast(
        "AsyncGenerator[Packet, None]",
        serve_packed(requests(packet(b"a", b"b"), then_wait=True), handler, load=load),
    )
    assert await anext(stream) == Packet()
    await asyncio.sleep(0)
    assert (load.calls_in_hand, load.bytes_in_hand, entered) == (2, 2, [])
    await stream.aclose()
    assert (load.calls_in_hand, load.bytes_in_hand, load.failed) == (0, 0, 0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_futures_under_way_are_cancelled_with_the_stream() -> None:
    future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    load = Load()
    stream = cast(
        "AsyncGenerator[Packet, None]",
        serve_packed(requests(packet(b"abc"), then_wait=True), lambda _code, _body: future, load=load),
    )
    await anext(stream)
    await asyncio.sleep(0)
    assert (load.calls_in_hand, load.bytes_in_hand) == (1, 3)
    await stream.aclose()
    await asyncio.sleep(0)
    assert future.cancelled()
    assert (load.calls_in_hand, load.bytes_in_hand) == (0, 0)


async def test_a_handler_that_returns_no_reply_is_a_failure() -> None:
    assert await answers(lambda _code, _body: None, packet(b"x")) == {0: FAILED}  # type: ignore[arg-type, return-value]  # the point


async def test_bytes_in_hand_are_bounded() -> None:
    gate = asyncio.Event()

    async def handler(_code: int, body: bytes) -> Reply:
        await gate.wait()
        return Reply(200, body[:1])

    async def held() -> AsyncIterator[Packet]:
        yield packet(b"a" * 60, b"b" * 60, b"c" * 40)
        gate.set()

    stream = serve_packed(held(), handler, Limits(queued_bytes=100))
    got = {f.id: Reply(f.code, f.body) async for each in stream for f in each.frames}
    assert got == {0: Reply(200, b"a"), 1: BUSY, 2: Reply(200, b"c")}


async def test_a_large_packet_of_quick_calls_lets_others_have_turns() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    assert len(await answers(Reply, packet(*[b"x"] * 640))) == 640
    assert turns >= 20
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_breaks_the_requests_ends_the_stream_with_it() -> None:
    async def broken() -> AsyncIterator[Packet]:
        yield packet(b"x")
        raise OSError("torn")

    with pytest.raises(OSError, match="torn"):
        [each async for each in serve_packed(broken(), Reply)]
