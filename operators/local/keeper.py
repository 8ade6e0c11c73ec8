"""Keeps a part of the network alive: what ends by itself is started again, ever more slowly, as a cluster would."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

log = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
#: A part that ran for so long has proven itself: its next pause is the first again.
PROVEN_AFTER_S: Final = 30.0


async def keep(name: str, ended: Callable[[], Awaitable[object]], start: Callable[[], Awaitable[None]]) -> None:
    """Wait until a running part ends, start it again, for ever.

    Args:
        name: for the log.
        ended: returns when the part has ended.
        start: starts it again; may fail, then it is tried again.
    """
    pause = FIRST_PAUSE_S
    began = time.monotonic()
    while True:
        await ended()
        if time.monotonic() - began > PROVEN_AFTER_S:
            pause = FIRST_PAUSE_S
        log.warning("%s has ended; it is started again in %.1f s", name, pause)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_S)
        began = time.monotonic()
        try:
            await start()
        except Exception as error:  # noqa: BLE001 - whatever it was, the next attempt follows
            log.warning("%s could not be started: %s", name, error)
