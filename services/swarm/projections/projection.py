"""Following the log into the local store: what arrived at once is folded in one transaction."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final, Protocol

from services.chassis.clock import Clock
from services.chassis.eventlog.port import Batch, EventLog, Follower, LoggedEvent
from services.swarm.domain.evolve import Changes
from services.swarm.projections.arrivals import Anchor, Arrivals, Arrived, FirstStores
from services.swarm.projections.bulk import bulk_work


class FoldingStore(Protocol):
    """The part of the local store that a projection writes to."""

    def fold(self, arrivals: Arrivals, *, synced: bool) -> Awaitable[Sequence[Changes | None]]:
        """Fold arrivals; when that is committed, and synced if asked for, say what each young new event changed."""
        ...

    def fold_now(self, arrivals: Arrivals) -> Sequence[Changes | None] | None:
        """Fold arrivals at once, committed and not synced; ``None``, and nothing is done, if that may last."""
        ...

    def sync(self) -> Awaitable[None]:
        """Have the disk take everything that is folded by now."""
        ...


class Decoder(Protocol):
    """Reads what the log delivers."""

    def __call__(self, events: Sequence[LoggedEvent], *, young_since_ns: int) -> Sequence[list[Arrived] | FirstStores]:
        """Return the events in runs, without those that are no mailbox events that this version can read."""
        ...


#: Told of arrivals once they are committed, and what each of them changed (nothing of ``FirstStores``).
Observer = Callable[[Arrivals, Sequence[Changes | None]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionSettings:
    """How a projection paces itself.

    Attributes:
        young_s: events stored by the log less than this ago may still be waited for.
        gather_each_s: for every event of a batch the next one gathers so long, if events come faster than commits: a
            commit costs the same whether it holds one event or twenty. Who stores alone never waits for others.
        gather_most_s: it gathers no longer than this.
        gathered: a batch of so many events need not gather.
        ahead: batches handed to the store and not yet committed ...
        ahead_behind: ... and so many while more waits in the log: they share a transaction.
        idle_position_s: how often a position that moved without events is written.
    """

    young_s: float = 5.0
    gather_each_s: float = 0.00125
    gather_most_s: float = 0.025
    gathered: int = 20
    ahead: int = 2
    ahead_behind: int = 4
    idle_position_s: float = 10.0


#: How far the clocks of log and node may differ, and how long an event may take from one to the other.
_GRACE_MS: Final = 2_000


#: Turns of the loop within which another node of this process begins to fold what has come to both.
_TURNS: Final = 4


class Projection:
    """Keeps a store level with the log.

    Args:
        name: which follower it is, among this store's.
        log: what is followed.
        store: what it is folded into.
        decode: reads events.
        clock: the time.
        settings: its pace.

    Attributes:
        position: everything followed is in this node's store up to this sequence of the log.
        following: whether anything is followed now; if not, the position stands still.
        behind: events that wait in the log, as far as it said.
        unreadable: events skipped because they could not be read.
    """

    def __init__(
        self,
        name: str,
        log: EventLog,
        store: FoldingStore,
        decode: Decoder,
        *,
        clock: Clock,
        settings: ProjectionSettings | None = None,
    ) -> None:
        self.name = name
        self.position = 0
        self.following = False
        self.behind = 0
        self.unreadable = 0
        self._log = log
        self._store = store
        self._decode = decode
        self._clock = clock
        self._settings = settings or ProjectionSettings()
        self._observers: list[Observer] = []
        self._is_asked_here: Callable[[Arrivals], bool] = _never
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = count()
        self._written = 0.0
        #: Where the batches reach that were handed to the store.
        self._handed = 0
        self._folding = 0
        #: Everything that the log stored up to this moment is folded.
        self._log_time_ms = 0

    def observe(self, observer: Observer) -> None:
        """Have every batch reported; the observer must not raise."""
        self._observers.append(observer)

    def sync_if(self, is_asked_here: Callable[[Arrivals], bool]) -> None:
        """Have arrivals synced that this node answers for; the log has the others on its disk, should this one fail."""
        self._is_asked_here = is_asked_here

    def see_end(self, end: int, now_ms: int) -> None:
        """Hear where the log ended at a moment: if all of that is folded, nothing older can still arrive."""
        if self.position >= end:
            self._log_time_ms = max(self._log_time_ms, now_ms)

    def swept_until_ms(self, now_ms: int) -> int:
        """Return which expiries are past for good: no event that the log stored before them can still arrive.

        Whether a message was dead when it was stored again is decided by the log's time, and must be decided alike by
        members that lag: while events wait, time stands where the last one was stored.
        """
        return min(now_ms - _GRACE_MS, self._log_time_ms)

    def reached(self, sequence: int) -> asyncio.Future[None]:
        """Return what is done when everything up to a sequence is folded; the caller bounds the wait."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.position >= sequence:
            done.set_result(None)
        else:
            heapq.heappush(self._waiting, (sequence, next(self._numbers), done))
        return done

    async def follow(self, name: str, subjects: Sequence[str], *, after: int) -> None:
        """Follow subjects for ever.

        Args:
            name: the follower's, as the membership authority made it.
            subjects: patterns of the shards.
            after: the store's position.

        Raises:
            EventLogError: the log does not let us.
            sqlite3.Error: the store cannot take it; what was not folded is followed again next time.
        """
        self.position = self._handed = after
        self.following = True
        follower = self._log.follow(name, subjects, after=after)
        under_way: list[asyncio.Future[None]] = []
        try:
            async for batch in follower:
                crowded = not all(fold.done() for fold in under_way)
                taken, log_time_ms = self._take(batch)
                asked = any(map(self._is_asked_here, taken))
                if batch.events and not batch.pending and not asked:
                    await _give_way()
                changes = None if crowded else self._fold_now(taken)
                if changes is None:
                    under_way += [asyncio.create_task(self._fold(each, log_time_ms, follower)) for each in taken]
                elif asked:
                    under_way.append(asyncio.create_task(self._sync(taken[0], changes, log_time_ms, follower)))
                else:
                    self._tell(taken[0], changes, log_time_ms)
                ahead = self._settings.ahead_behind if batch.pending else self._settings.ahead
                gathered = 0 if batch.pending else len(batch.events)
                del batch, taken  # a replay's batches are large, and decoded by now
                while len(under_way) > ahead or (under_way and under_way[0].done()):
                    await under_way.pop(0)
                # A large batch has gathered before it was appended.
                if gathered < self._settings.gathered and (gathered > 1 or (gathered and crowded)):
                    await self._clock.sleep(min(gathered * self._settings.gather_each_s, self._settings.gather_most_s))
            await asyncio.gather(*under_way)  # whose failure has closed the follower
        finally:
            self.following = False
            await follower.close()
            for fold in under_way:
                fold.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    def _take(self, batch: Batch) -> tuple[list[Arrivals], int]:
        """Decode a batch; also tell up to which moment everything that the log stored is in it."""
        self.behind = batch.pending
        runs = self._read(batch.events)
        log_time_ms = 0
        if not batch.pending:
            log_time_ms = self._clock.now_ms()
        elif batch.events:
            log_time_ms = batch.events[-1].time_ns // 1_000_000
        taken = [Arrivals(self.name, runs[-1] if runs else (), batch.position, 0, batch.pending)]
        if len(runs) > 1:
            taken[:0] = [Arrivals(self.name, run, _last_sequence(run), 0, batch.pending + 1) for run in runs[:-1]]
        return taken, log_time_ms

    async def _fold(self, arrivals: Arrivals, log_time_ms: int, follower: Follower) -> None:
        try:
            changes = await self._write(arrivals)
        except BaseException:
            # What comes next cannot be folded either: all begins anew behind what is on the disk.
            await follower.close()
            raise
        self._tell(arrivals, changes, log_time_ms)

    async def _sync(
        self, arrivals: Arrivals, changes: Sequence[Changes | None], log_time_ms: int, follower: Follower
    ) -> None:
        """Tell of arrivals that are folded when the disk has them."""
        try:
            await self._store.sync()
        except BaseException:
            await follower.close()
            raise
        self._tell(arrivals, changes, log_time_ms)

    def _fold_now(self, taken: Sequence[Arrivals]) -> Sequence[Changes | None] | None:
        """Fold at once what is little; ``None`` if it is not. Nothing else may be on its way into the store."""
        if len(taken) > 1 or not taken[0].events:
            return None
        arrivals = taken[0].placed(self._handed)
        changes = self._store.fold_now(arrivals)
        if changes is not None:
            self._written = self._clock.monotonic()
            self._handed = max(self._handed, arrivals.position)
        return changes

    def _tell(self, arrivals: Arrivals, changes: Sequence[Changes | None], log_time_ms: int) -> None:
        """Move on behind what is folded, and tell everybody."""
        self.position = max(self.position, arrivals.position)
        self._log_time_ms = max(self._log_time_ms, log_time_ms)
        if arrivals.events:
            for observer in self._observers:
                observer(arrivals, changes)
        while self._waiting and self._waiting[0][0] <= self.position:
            done = heapq.heappop(self._waiting)[2]
            if not done.done():
                done.set_result(None)

    async def _write(self, arrivals: Arrivals) -> Sequence[Changes | None]:
        """Hand arrivals to the store; a position that moved without events is written now and then."""
        now = self._clock.monotonic()
        alone = not arrivals.events and not self._folding
        if alone and now - self._written < self._settings.idle_position_s:
            return ()
        self._written = now
        anchor = await self._anchor(arrivals.position) if alone else None
        arrivals = arrivals.placed(self._handed, anchor)
        self._handed = max(self._handed, arrivals.position)
        self._folding += 1
        try:
            return await self._store.fold(arrivals, synced=self._is_asked_here(arrivals))
        finally:
            self._folding -= 1

    async def _anchor(self, position: int) -> Anchor | None:
        """Look at what the log has at a position that moved without events of ours."""
        event = await self._log.read(position)
        runs = () if event is None else self._decode([event], young_since_ns=0)
        for run in runs:
            arrived = run[0] if isinstance(run, list) else run.one_by_one()[0]
            return Anchor(arrived.sequence, arrived.event_id, arrived.time_ns)
        return None

    def _read(self, events: Sequence[LoggedEvent]) -> Sequence[list[Arrived] | FirstStores]:
        young_since_ns = self._clock.now_ms() * 1_000_000 - int(self._settings.young_s * 1e9)
        with bulk_work(len(events)):
            runs = self._decode(events, young_since_ns=young_since_ns)
        self.unreadable += len(events) - sum(map(len, runs))
        return runs


def _give_way() -> asyncio.Future[None]:
    """Let a node of this process go first whose client waits for the same events: its disk has to take them, too."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    loop.call_soon(_pass, _TURNS - 1, loop, done)
    return done


def _pass(turns: int, loop: asyncio.AbstractEventLoop, done: asyncio.Future[None]) -> None:
    if turns:
        loop.call_soon(_pass, turns - 1, loop, done)
    elif not done.done():
        done.set_result(None)


def _never(_: Arrivals) -> bool:
    return False


def _last_sequence(run: list[Arrived] | FirstStores) -> int:
    return run[-1].sequence if isinstance(run, list) else run.sequences[-1]
