"""Appends that a cluster cannot take at the moment, sent again until their time is over."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final

from services.chassis.eventlog.jetstream_groups import Gathered

_FIRST_PAUSE_S: Final = 0.005
_LONGEST_PAUSE_S: Final = 0.5


class Retries:
    """Knows what is under way, and sends again what was refused for the moment.

    While a stream has no leader, nobody listens on its subjects. And of two appends that expect the same event of a
    subject, a cluster refuses the second one before it knows what became of the first. What was refused so is not
    stored, and may be sent again as it is.

    Args:
        send: sends an event, to be acknowledged within so many seconds.
        within_s: all tries of an event together end within this time.
    """

    def __init__(self, send: Callable[[Gathered, float], None], *, within_s: float) -> None:
        self._send = send
        self._within_s = within_s
        self._loop = asyncio.get_running_loop()
        self._events: dict[asyncio.Future[Any], Gathered] = {}
        #: Of what was refused: when its time is over, and how long to pause next.
        self._refused: dict[asyncio.Future[Any], tuple[float, float]] = {}

    def send(self, event: Gathered) -> None:
        """Send an event for the first time."""
        self._events[event.future] = event
        self._send(event, self._within_s)

    def settle(self, future: asyncio.Future[Any]) -> None:
        """Forget an event: its future has its result."""
        self._events.pop(future, None)
        self._refused.pop(future, None)

    def again(self, future: asyncio.Future[Any]) -> bool:
        """Send an event again after a pause; false if its time is over, or nobody waits for it any more."""
        now = self._loop.time()
        until, pause = self._refused.get(future) or (now + self._within_s, _FIRST_PAUSE_S)
        if future.done() or now + pause >= until:
            return False
        self._refused[future] = until, min(2 * pause, _LONGEST_PAUSE_S)
        self._loop.call_later(pause * random.uniform(0.5, 1), self._resend, future)  # noqa: S311 - jitter, no secret
        return True

    def _resend(self, future: asyncio.Future[Any]) -> None:
        until, _ = self._refused[future]
        self._send(self._events[future], max(until - self._loop.time(), _FIRST_PAUSE_S))
