"""Which shards this node follows, by which followers, and since when it holds them whole."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.chassis.clock import Clock
from services.chassis.eventlog.port import EventLog, EventLogError
from services.swarm.adapters.store.local import LocalStore
from services.swarm.projections.projection import Projection

log = logging.getLogger(__name__)

MAIN: Final = "main"
EXTRA: Final = "extra"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The shards that the directory wants this node to hold.

    Attributes:
        main: those that it serves.
        extra: those that it will serve besides.
    """

    main: frozenset[int] = frozenset()
    extra: frozenset[int] = frozenset()


class Following:
    """Keeps the store level with the log, whatever happens to either, and to the directory.

    Args:
        log_port: the mail log.
        store: what it is folded into.
        projections: by ``MAIN`` and ``EXTRA``.
        follower_names: of both, as the authority makes them.
        pattern: the subjects of a shard.
        clock: the time.
        on_change: called when what is held whole, or how far the store is, has changed.

    Attributes:
        held: shards of which the store has all that the log had when the node began to follow them.
        mending: the log lost something that the store has, and gets it again.
        trouble: why the log cannot be followed now; empty if it can.
    """

    def __init__(
        self,
        *,
        log_port: EventLog,
        store: LocalStore,
        projections: Mapping[str, Projection],
        follower_names: Mapping[str, str],
        pattern: Callable[[int], str],
        clock: Clock,
        on_change: Callable[[], None] = lambda: None,
        retry_s: float = 0.5,
    ) -> None:
        self.held: frozenset[int] = frozenset()
        self.mending = False
        self.trouble = ""
        self._log = log_port
        self._store = store
        self._projections = projections
        self._names = follower_names
        self._pattern = pattern
        self._clock = clock
        self._on_change = on_change
        self._retry_s = retry_s
        self._wanted = Wanted()
        self._again = asyncio.Event()

    def want(self, wanted: Wanted) -> None:
        """Follow these shards from now on."""
        if wanted != self._wanted:
            self._wanted = wanted
            self._again.set()

    def doubt(self) -> None:
        """Look at the log again, and begin behind what is on the disk: the connection was lost."""
        self._again.set()

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            self._again.clear()
            try:
                await self._follow(self._wanted)
            except (EventLogError, sqlite3.Error) as error:
                # The kind alone: what the log says may name a subject.
                self._say(type(error).__name__)
                await self._clock.sleep(self._retry_s)

    async def _follow(self, wanted: Wanted) -> None:
        """Follow until something else is wanted or the log is in doubt."""
        shards = {name: part for name, part in ((MAIN, wanted.main), (EXTRA, wanted.extra)) if part}
        identity = await self._log.identity()
        positions = await self._store.follow(shards, identity.incarnation)
        self._hold(self.held & (wanted.main | wanted.extra))
        self._say("")
        again: asyncio.Future[Any] = asyncio.ensure_future(self._again.wait())
        work: list[asyncio.Future[Any]] = []
        for name, part in shards.items():
            work.append(asyncio.ensure_future(self._keep(name, part, positions[name])))
            work.append(asyncio.ensure_future(self._level(name, part, identity.last_sequence)))
        try:
            while not again.done():
                await asyncio.wait([again, *work], return_when=asyncio.FIRST_COMPLETED)
                for task in [task for task in work if task.done()]:
                    work.remove(task)
                    task.result()
        finally:
            for task in (again, *work):
                task.cancel()
            await asyncio.gather(again, *work, return_exceptions=True)

    async def _keep(self, name: str, shards: frozenset[int], after: int) -> None:
        subjects = [self._pattern(shard) for shard in sorted(shards)]
        await self._projections[name].follow(self._names[name], subjects, after=after)

    async def _level(self, name: str, shards: frozenset[int], end: int) -> None:
        """Hold the shards whole once everything that the log had by now is folded."""
        await self._projections[name].reached(end)
        self._hold(self.held | shards)

    def _hold(self, held: frozenset[int]) -> None:
        if held != self.held:
            self.held = held
            self._on_change()

    def _say(self, trouble: str) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            if trouble:
                log.warning("the log cannot be followed now: %s; trying again", trouble)
            self._on_change()
