"""Looking after the light: a proof every few seconds, so that green never outlives the truth (SES-25).

A proof is asked for 4 seconds (3 to 5, drawn anew) after the last one came back, and given 8 seconds: from blocking any
hop to orange it takes 13 seconds at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from random import Random

from naisho.errors import NaishoError
from naisho.paths.keeper import PathKeeper
from naisho.paths.status import PathStatus

PAUSE = 4.0


class PathWatch:
    """Keeps proving the path while somebody looks at it."""

    def __init__(
        self,
        paths: PathKeeper,
        probe: Callable[[], Awaitable[object]],
        random: Random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._paths = paths
        self._probe = probe
        self._random = random
        self._sleep = sleep

    async def watch(self) -> AsyncGenerator[PathStatus]:
        """Yield the status now and whenever it changes."""
        prober = asyncio.create_task(self._prove())
        change: asyncio.Task[PathStatus] | None = None
        try:
            status = self._paths.status
            yield status
            while True:
                change = asyncio.create_task(self._paths.changed(status))
                await asyncio.wait({prober, change}, return_when=asyncio.FIRST_COMPLETED)
                if prober.done():
                    prober.result()
                status = await change
                yield status
        finally:
            tasks = [task for task in (prober, change) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _prove(self) -> None:
        while True:
            with suppress(NaishoError):  # the status tells it
                await self._probe()
            await self._sleep(PAUSE * self._random.uniform(0.75, 1.25))
