"""Which shards this node follows, by which followers, and since when it holds them whole."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.chassis.clock import Clock, sleep_unless
from services.chassis.eventlog.port import EventLog, EventLogError, LogUnavailable
from services.swarm.adapters.log_identity import recognise
from services.swarm.adapters.store.fold import OutOfOrder
from services.swarm.adapters.store.local import LocalStore
from services.swarm.projections.projection import Projection

log = logging.getLogger(__name__)

MAIN: Final = "main"
EXTRA: Final = "extra"

#: Gives the log what it lost; raises what the log raises.
Mend = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The shards that the directory wants this node to hold.

    Attributes:
        main: those that it serves.
        extra: those that it will serve besides.
    """

    main: frozenset[int] = frozenset()
    extra: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowingSettings:
    """How often.

    Attributes:
        check_s: the log is checked to be the one that is known.
        retry_s: pause after a failure.
    """

    check_s: float = 5.0
    retry_s: float = 0.5


class LogChanged(Exception):
    """The log is not the one that the store was folded from."""


class Following:
    """Keeps the store level with the log, whatever happens to either, and to the directory.

    Args:
        mail: the mail log.
        store: what it is folded into.
        projections: by ``MAIN`` and ``EXTRA``.
        follower_names: of both, as the authority makes them.
        patterns: the subjects of some shards.
        mend: gives the log again what it lost, once the store is level with it.
        clock: the time.
        settings: how often.

    Attributes:
        held: shards of which the store has all that the log had when the node began to follow them.
        mending: the log lost something that the store has, and gets it again.
        changed_logs: how often the log was found to be another than before.
        trouble: why the log cannot be followed now; empty if it can.
    """

    def __init__(
        self,
        *,
        mail: EventLog,
        store: LocalStore,
        projections: Mapping[str, Projection],
        follower_names: Mapping[str, str],
        patterns: Callable[[Collection[int]], Sequence[str]],
        mend: Mend,
        clock: Clock,
        settings: FollowingSettings | None = None,
    ) -> None:
        self.held: frozenset[int] = frozenset()
        self.mending = False
        self.changed_logs = 0
        self.trouble = ""
        self._mail = mail
        self._store = store
        self._projections = projections
        self._names = follower_names
        self._patterns = patterns
        self._mend = mend
        self._clock = clock
        self._settings = settings or FollowingSettings()
        self._observers: list[Callable[[], None]] = []
        #: ``None`` before anybody has said: what the store holds must not be given up for that.
        self._wanted: Wanted | None = None
        self._again = asyncio.Event()
        self._look = asyncio.Event()

    def observe(self, observer: Callable[[], None]) -> None:
        """Call ``observer`` whenever one of the attributes has changed, or the log was found to be the known one."""
        self._observers.append(observer)

    def want(self, wanted: Wanted) -> None:
        """Follow these shards from now on."""
        if wanted != self._wanted:
            self._wanted = wanted
            self._again.set()

    def begin_again(self) -> None:
        """Look at the log, and begin behind what is on the disk: the connection was lost."""
        self._again.set()

    def look(self) -> None:
        """Look at the log soon; somebody doubts that it is the one that was."""
        self._look.set()

    async def run(self) -> None:
        """Follow until cancelled, from the time on at which it was first said what."""
        while True:
            self._again.clear()
            if self._wanted is None:
                await self._again.wait()
                continue
            try:
                await self._follow(self._wanted)
            except LogChanged:
                continue
            except (EventLogError, OutOfOrder, sqlite3.Error, TimeoutError) as error:
                # The kind alone: what the log says may name a subject.
                self._set(trouble=type(error).__name__)
                await self._clock.sleep(self._settings.retry_s)

    async def _follow(self, wanted: Wanted) -> None:
        """Follow until something else is wanted or the log is in doubt."""
        shards = {name: part for name, part in ((MAIN, wanted.main), (EXTRA, wanted.extra)) if part}
        found = await recognise(self._mail, await self._store.progress())
        if not found.known:
            log.error("the event log is not the one it was; what it lost is appended again, nothing is acknowledged")
            self._set(mending=True, changed_logs=self.changed_logs + 1)
            await self._store.rewind(found.agreed, found.incarnation)
        positions = await self._store.follow(shards, found.incarnation)
        self._set(held=self.held & (wanted.main | wanted.extra), trouble="")
        again: asyncio.Future[Any] = asyncio.ensure_future(self._again.wait())
        work: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._watch())]
        for name, part in shards.items():
            work.append(asyncio.ensure_future(self._keep(name, part, positions[name])))
            work.append(asyncio.ensure_future(self._level(name, part, found.end)))
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
        subjects = self._patterns(shards)
        await self._projections[name].follow(self._names[name], subjects, after=after)

    async def _level(self, name: str, shards: frozenset[int], end: int) -> None:
        """Hold the shards whole once everything that the log had by now is folded, and give it what it lost."""
        await self._projections[name].reached(end)
        # More may have come meanwhile, so that the store does not know that it is level.
        await self._store.end_filling()
        self._set(held=self.held | shards)
        if name == MAIN and self.mending:
            await self._mend()
            self._set(mending=False)
            log.warning("the event log has again what it lost")

    async def _watch(self) -> None:
        """Look at the log now and then, and whenever somebody doubts it."""
        while True:
            await sleep_unless(self._look, self._clock, self._settings.check_s)
            self._look.clear()
            now = self._clock.now_ms()
            try:
                found = await recognise(self._mail, await self._store.progress())
            except LogUnavailable:
                continue  # an answer that is late says nothing about the log
            if not found.known:
                raise LogChanged
            for projection in self._projections.values():
                projection.see_end(found.end, now)
            self._set()

    def _set(self, **news: Any) -> None:
        """Take over what has changed, and tell."""
        for name, value in news.items():
            setattr(self, name, value)
        for observer in self._observers:
            observer()
