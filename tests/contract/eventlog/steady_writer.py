"""Somebody who appends to a log whatever happens to it, and knows what was acknowledged."""

from __future__ import annotations

import asyncio
import time

from services.chassis.eventlog.port import EventLog, LogUnavailable


class SteadyWriter:
    """Appends without pause.

    Args:
        log: to append to.
        subject: of all events.
        at_once: appends under way at any time.

    Attributes:
        acknowledged: payloads by their positions.
        unavailable: appends that were given up.
        longest_gap_s: between two acknowledgements.
    """

    def __init__(self, log: EventLog, subject: str, at_once: int = 32) -> None:
        self.acknowledged: dict[int, bytes] = {}
        self.unavailable = 0
        self.longest_gap_s = 0.0
        self._log, self._subject = log, subject
        self._number = 0
        self._stopped = False
        self._last = time.monotonic()
        self._progress = asyncio.Event()
        self._tasks = [asyncio.create_task(self._run()) for _ in range(at_once)]

    async def _run(self) -> None:
        while not self._stopped:
            self._number += 1
            payload = b"%d" % self._number
            try:
                self.acknowledged[await self._log.append(self._subject, payload)] = payload
            except LogUnavailable:
                self.unavailable += 1
                await asyncio.sleep(0.01)
                continue
            now = time.monotonic()
            self.longest_gap_s = max(self.longest_gap_s, now - self._last)
            self._last = now
            self._progress.set()

    async def until_acknowledged(self, more: int, *, within_s: float) -> None:
        """Wait until so many more events are acknowledged."""
        wanted = len(self.acknowledged) + more
        async with asyncio.timeout(within_s):
            while len(self.acknowledged) < wanted:
                self._progress.clear()
                await self._progress.wait()

    async def stop(self) -> None:
        """Begin nothing more, and wait for what is under way."""
        self._stopped = True
        await asyncio.gather(*self._tasks)
