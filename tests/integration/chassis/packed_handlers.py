"""Handlers and waits for tests of packed streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from services.chassis.packed import Reply


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
