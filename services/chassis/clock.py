"""Time, as something that is handed in: the real one, and one that tests move by hand."""

from __future__ import annotations

import asyncio
import heapq
import time
from typing import Final, Protocol

#: Turns of the loop that a moved clock gives to those it woke, before it moves on to the next sleeper.
_TURNS: Final = 8


class Clock(Protocol):
    """What knows the time."""

    def now_ms(self) -> int:
        """Milliseconds since 1970, as clients and servers exchange them. It may jump, also backwards."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds, at once if there are none."""


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that stands still until it is advanced.

    Args:
        now_ms: where it starts, milliseconds since 1970.
    """

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._origin_ms = now_ms
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._slept = 0
        self._lay_down = asyncio.Event()

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return self._origin_ms + round(self._elapsed * 1000)

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Return once the clock has been advanced so far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        self._slept += 1
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, self._slept, sleeper))
        self._lay_down.set()
        await sleeper

    def jump(self, milliseconds: int) -> None:
        """Set the wall clock forwards or backwards, as an administrator would; nobody wakes."""
        self._origin_ms += milliseconds

    async def advance(self, seconds: float) -> None:
        """Let time pass: each sleeper wakes at its moment and may lie down again within the span."""
        end = self._elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            moment, _, sleeper = heapq.heappop(self._sleepers)
            if not sleeper.done():
                self._elapsed = moment
                sleeper.set_result(None)
                await self._settle()
        self._elapsed = end
        await self._settle()

    async def wait_for_sleepers(self, count: int = 1) -> None:
        """Wait until so many are asleep: what runs in the background has reached its next sleep."""
        while sum(not sleeper.done() for _, _, sleeper in self._sleepers) < count:
            self._lay_down.clear()
            await self._lay_down.wait()

    async def _settle(self) -> None:
        for _ in range(_TURNS):
            await asyncio.sleep(0)


async def sleep_unless(event: asyncio.Event, clock: Clock, seconds: float) -> None:
    """Return after so many seconds, or as soon as the event is set."""
    waits = (asyncio.ensure_future(event.wait()), asyncio.ensure_future(clock.sleep(seconds)))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
