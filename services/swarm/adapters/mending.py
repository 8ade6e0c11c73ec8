"""Appending again what the log lacks and this node has (design: a log that was put back from an older copy).

All members that have it do so at once. Every append expects the mailbox's last event, so that only the first gets
through; the others meet its event, fold it, and see that nothing is left to do.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

from services.chassis.clock import Clock
from services.chassis.eventlog.port import EventLog, LogUnavailable, WrongExpectedSequence
from services.chassis.nats.names import NetworkNames
from services.swarm.adapters.drafts import BodyGone, Draft, Drafter
from services.swarm.adapters.mailbox_subjects import Place
from services.swarm.adapters.sealing import KeyGone
from services.swarm.adapters.store.local import LocalStore
from services.swarm.adapters.store.rewind import LostChange, LostMessage
from services.swarm.domain.events import Stored
from services.swarm.projections.projection import Projection

#: Events read from the store at once, and mailboxes worked on at once.
_SLICE: Final = 256
_AT_ONCE: Final = 32
_TRIES: Final = 8

Lost = LostChange | LostMessage


class Mender:
    """Gives the log what it lacks.

    Args:
        log: what is written to.
        store: knows what is lost.
        projections: those that may fold what is appended.
        drafter: seals bodies anew, under keys that the log has.
        names: the network's.
        clock: the time.
        margin_s: what the log keeps an event longer than it is needed.
        patience_s: how long an append is waited for to come back.

    Attributes:
        appended: events appended again so far.
    """

    def __init__(
        self,
        *,
        log: EventLog,
        store: LocalStore,
        projections: Sequence[Projection],
        drafter: Drafter,
        names: NetworkNames,
        clock: Clock,
        margin_s: int,
        patience_s: float = 10.0,
    ) -> None:
        self.appended = 0
        self._log = log
        self._reader = store.reader
        self._projections = projections
        self._drafter = drafter
        self._names = names
        self._clock = clock
        self._margin_s = margin_s
        self._patience_s = patience_s
        self._turn = asyncio.Lock()

    @property
    def needed(self) -> bool:
        """Whether the log lacks something, as far as the store has followed it."""
        now = self._clock.now_ms()
        return bool(self._reader.lost_changes(now, 1) or self._reader.lost_messages(now, 1))

    async def mend(self) -> None:
        """Append what is lost: deletions and other changes first, then messages, each in their old order.

        Raises:
            EventLogError: the log cannot be written now; what is left is done next time.
            TimeoutError: what was appended does not come back.
        """
        async with self._turn:
            await self._mend(self._reader.lost_changes)
            await self._mend(self._reader.lost_messages)

    async def _mend(self, lost: Callable[[int, int], Sequence[Lost]]) -> None:
        hopeless: set[int] = set()
        while True:
            found = [item for item in lost(self._clock.now_ms(), _SLICE + len(hopeless)) if item.id not in hopeless]
            if not found:
                return
            mailboxes: dict[bytes, list[Lost]] = defaultdict(list)
            for item in found:
                mailboxes[item.tag].append(item)
            at_once = asyncio.Semaphore(_AT_ONCE)
            try:
                async with asyncio.TaskGroup() as tasks:
                    work = [tasks.create_task(self._mailbox(items, at_once, hopeless)) for items in mailboxes.values()]
            except ExceptionGroup as several:
                raise several.exceptions[0] from several
            await self._folded(max(task.result() for task in work))

    async def _folded(self, sequence: int) -> None:
        """Wait until everything up to a sequence is folded by whoever follows the log now."""
        async with asyncio.timeout(self._patience_s):
            for projection in self._projections:
                if projection.following:
                    await projection.reached(sequence)

    async def _mailbox(self, items: Sequence[Lost], at_once: asyncio.Semaphore, hopeless: set[int]) -> int:
        """Append what one mailbox has lost; return the last sequence."""
        async with at_once:
            place = Place(items[0].shard, items[0].tag, self._names.mailbox(items[0].shard, items[0].tag.hex()))
            with self._reader.view(place.tag, self._clock.now_ms()) as view:
                expected = view.last_sequence
            for item in items:
                if not self._reader.is_lost(item):
                    continue  # others were here
                try:
                    draft = await self._draft(place, item)
                except (BodyGone, KeyGone):
                    hopeless.add(item.id)
                    continue
                expected = await self._append(place, draft, item, expected)
            return expected

    async def _draft(self, place: Place, item: Lost) -> Draft:
        if isinstance(item, LostMessage):
            event = Stored(
                item.hash, item.namespace, item.timestamp_ms, item.expiry_ms, None, item.size, rank=item.rank
            )
            (draft,) = await self._drafter.drafts(place, [event])
            return draft
        until, ttl = item.needed_until_ms, None
        if until is not None:
            ttl = max(1, math.ceil((until - self._clock.now_ms()) / 1000)) + self._margin_s
        return Draft(item.event_id, item.payload, ttl)

    async def _append(self, place: Place, draft: Draft, item: Lost, expected: int) -> int:
        for _ in range(_TRIES):
            # Nothing but this node's own appends lies between what is folded and what is expected.
            if not self._reader.is_lost(item):
                return expected
            try:
                expected = await self._log.append(place.subject, draft.payload, expected=expected, ttl_s=draft.ttl_s)
            except WrongExpectedSequence as wrong:
                expected = wrong.actual
                await self._folded(expected)
                if not self._reader.is_lost(item):
                    return expected
            except LogUnavailable as error:
                if not error.maybe_stored:
                    raise
            else:
                self.appended += 1
                return expected
        raise LogUnavailable("others are always faster on this mailbox; try again later", maybe_stored=False)
