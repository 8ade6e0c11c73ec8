"""Handlers and waits for tests of packed streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from naisho.wire.stream.v1.stream_pb2 import Packet
from services.chassis.packed import Load, Reply


async def echo(code: int, body: bytes) -> Reply:
    await asyncio.sleep(0)
    return Reply(code, body[::-1], binary=code % 2 == 1)


class Gate:
    """A handler that waits until it is opened, and counts who is in."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.entered = 0
        self.cancelled = 0
        self.someone = asyncio.Event()

    async def __call__(self, code: int, body: bytes) -> Reply:
        self.entered += 1
        self.someone.set()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Reply(code, body)

    async def wait_for(self, count: int) -> None:
        while self.entered < count:
            self.someone.clear()
            await self.someone.wait()


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop run until a condition without an event of its own holds."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - counters have no events
            await asyncio.sleep(0.005)


async def flood_without_reading(stream: Any, load: Load) -> None:
    """Send 100 MiB and take no answers until nothing moves: the server has stopped reading. Then take them all."""

    async def flood() -> None:
        for number in range(400):
            packet = Packet()
            packet.frames.add(id=number, code=200, body=bytes(256 * 1024))
            await stream.write(packet)

    assert await stream.read() == Packet()
    flooding = asyncio.create_task(flood())
    before = -1
    while before != load.answered:  # until nothing moves for a while
        before = load.answered
        await asyncio.sleep(0.3)
    assert not flooding.done()
    assert 8 <= load.answered < 200
    read = 0
    while read < 400:
        packet = await stream.read()
        assert isinstance(packet, Packet)
        read += len(packet.frames)
    await flooding
    assert load.answered == 400
    stream.cancel()
