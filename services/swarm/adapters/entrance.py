"""The door before the log: as many commands as make sense come in, others wait a moment, the rest is turned away."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from services.swarm.domain.admission import AdaptiveLimit, Places
from services.swarm.domain.ports import Refused

BUSY: Final = "Server busy, try again later"


@dataclass(frozen=True, slots=True)
class _Waiting:
    commands: int
    until: float
    called: asyncio.Future[None]


class Stay:
    """The time of a command, or of several at once, from its beginning to its answer; made by ``Entrance.begin``."""

    __slots__ = ("_begun", "_commands", "_entrance", "_has_place")

    def __init__(self, entrance: Entrance, commands: int, begun: float) -> None:
        self._entrance = entrance
        self._commands = commands
        self._begun = begun
        self._has_place = True

    def done(self) -> None:
        """Give the place back: the work is done, the command may wait for other members yet."""
        if self._has_place:
            self._has_place = False
            self._entrance.take_back(self._commands, since=self._begun)

    def stand_aside(self) -> None:
        """Give the place back because the command waits for something else than room; how long says nothing."""
        if self._has_place:
            self._has_place = False
            self._entrance.take_back(self._commands, since=None)

    def end(self) -> None:
        """Be answered, whatever came of it."""
        self.stand_aside()
        self._entrance.see_off(self._commands)


class Entrance:
    """Counts commands, and keeps their requests in line while there are too many.

    A request waits in the order of its coming and with nothing done for it, so that a burst passes whole. Who would
    have to wait longer than ``wait_s`` is refused: not at once, else clients that ask again at once would be refused
    again and again instead of others being served.

    Args:
        limit: how many commands may be under way.
        wait_s: seconds that a request waits in line at most.

    Attributes:
        under_way: commands let in that have a place.
        in_flight: commands let in that are not answered: those above, and those that only wait for others.
        shed: commands refused before any work.
    """

    def __init__(self, limit: AdaptiveLimit, *, wait_s: float) -> None:
        self.under_way = 0
        self.in_flight = 0
        self.shed = 0
        self._limit = limit
        self._wait_s = wait_s
        self._line: deque[_Waiting] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def limit(self) -> int:
        """How many commands may be under way now."""
        return self._limit.value

    @property
    def waiting(self) -> int:
        """Requests in line."""
        return len(self._line)

    async def enter(self, commands: int) -> Places:
        """Wait for places; whoever gets them gives back those that no command has begun on.

        Args:
            commands: how many a request has; they are let in together.

        Raises:
            Refused: 503, there was no room for as long as a request waits.
        """
        if not self._line and self._has_room(commands):
            self._count(commands)
            return Places(commands)
        if self._wait_s <= 0:
            self.turn_away(commands)
        until = self._loop.time() + self._wait_s
        waiting = _Waiting(commands, until, self._loop.create_future())
        self._line.append(waiting)
        if self._timer is None:
            self._timer = self._loop.call_at(until, self._tire)
        try:
            await waiting.called
        except asyncio.CancelledError:
            if waiting.called.done() and not waiting.called.cancelled() and waiting.called.exception() is None:
                self.give_back(Places(commands))  # called and cancelled in the same turn of the loop
            raise
        return Places(commands)

    def turn_away(self, commands: int) -> None:
        """Refuse commands, and count that.

        Raises:
            Refused: always.
        """
        self.shed += commands
        raise Refused(503, BUSY)

    def give_back(self, places: Places) -> None:
        """Take back the places that no command has begun on."""
        self.under_way -= places.left
        self.in_flight -= places.left
        places.left = 0
        self._call()

    def begin(self, places: Places, commands: int = 1) -> Stay:
        """Begin on so many of the places at once; there are as many left."""
        places.left -= commands
        return Stay(self, commands, self._loop.time())

    def take_back(self, commands: int, *, since: float | None) -> None:
        """Take back commands' places, and learn from when they have had them if that tells something."""
        if since is not None:
            now = self._loop.time()
            self._limit.learn(now, now - since, self.under_way)
        self.under_way -= commands
        self._call()

    def see_off(self, commands: int) -> None:
        """Count commands as answered."""
        self.in_flight -= commands
        self._call()

    def _has_room(self, commands: int) -> bool:
        if self.under_way >= self._limit.value:
            return False
        return not self.in_flight or self.in_flight + commands <= self._limit.most

    def _count(self, commands: int) -> None:
        self.under_way += commands
        self.in_flight += commands

    def _call(self) -> None:
        """Let in whoever is first in line, as long as there is room."""
        line = self._line
        while line and (line[0].called.done() or self._has_room(line[0].commands)):
            first = line.popleft()
            if not first.called.done():
                self._count(first.commands)
                first.called.set_result(None)

    def _tire(self) -> None:
        """Refuse those that have waited too long."""
        line, now = self._line, self._loop.time()
        while line and (line[0].called.done() or line[0].until <= now):
            first = line.popleft()
            if not first.called.done():
                self.shed += first.commands
                first.called.set_exception(Refused(503, BUSY))
        self._timer = self._loop.call_at(line[0].until, self._tire) if line else None
