from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from services.chassis.clock import SystemClock
from services.chassis.eventlog.memory import MemoryLog
from services.chassis.eventlog.memory_stream import MemoryStream
from services.chassis.eventlog.port import LoggedEvent
from services.swarm.adapters.event_codec import SealedBody, encode
from services.swarm.adapters.mailbox_subjects import arrive as read_event
from services.swarm.adapters.store.local import LocalStore
from services.swarm.domain.events import Deleted, DeletedMessage, Stored
from services.swarm.domain.evolve import Changes
from services.swarm.projections.arrivals import Arrivals, Arrived, FirstStores
from services.swarm.projections.projection import Projection, ProjectionSettings

SUBJECT = f"n.swarm.01.{'ab' * 16}"
ELSEWHERE = f"n.swarm.09.{'cd' * 16}"
TAG = bytes.fromhex("ab" * 16)


def payload(number: int, namespace: int = 0) -> bytes:
    event = Stored(bytes([number]) * 32, namespace, 1, 2**50, None, 4)
    return encode(bytes([number]) * 16, event, SealedBody(0, bytes(32)))


def sequences_of(events: Sequence[Arrived] | FirstStores) -> list[int]:
    return events.sequences if isinstance(events, FirstStores) else [event.sequence for event in events]


def listed(events: list[Arrived] | FirstStores) -> list[Arrived]:
    return events.one_by_one() if isinstance(events, FirstStores) else events


class FlakyStore:
    """A local store whose disk is full now and then."""

    def __init__(self, store: LocalStore) -> None:
        self.store = store
        self.full = 0
        self.folds: list[Arrivals] = []
        self.synced: list[bool] = []
        self.asked = asyncio.Event()
        self.disk = asyncio.Event()
        self.disk.set()
        self.broken = False

    async def fold(self, arrivals: Arrivals, *, synced: bool) -> list[Changes | None]:
        self.folds.append(arrivals)
        self.synced.append(synced)
        if self.full:
            self.full -= 1
            raise sqlite3.OperationalError("database or disk is full")
        return await self.store.fold(arrivals, synced=synced)

    def fold_now(self, arrivals: Arrivals) -> list[Changes | None] | None:
        changes = None if self.full else self.store.fold_now(arrivals)
        if changes is not None:
            self.folds.append(arrivals)
            self.synced.append(False)
        return changes

    async def sync(self) -> None:
        self.synced[-1] = True
        self.asked.set()
        await self.disk.wait()
        if self.broken:
            raise OSError("the disk takes nothing")
        await self.store.sync()


class Lab:
    def __init__(self, store: LocalStore) -> None:
        self.stream = MemoryStream()
        self.log = MemoryLog(self.stream)
        self.store = FlakyStore(store)
        self.reported: list[int] = []
        settings = ProjectionSettings(idle_position_s=0.0)
        self.projection = Projection("main", self.log, self.store, read_event, clock=SystemClock(), settings=settings)
        self.projection.observe(lambda arrivals, _: self.reported.extend(sequences_of(arrivals.events)))
        self.task: asyncio.Task[None] | None = None

    def start(self, after: int = 0) -> asyncio.Task[None]:
        self.task = asyncio.create_task(self.projection.follow("f", ["n.swarm.01.>"], after=after))
        return self.task

    async def reached(self, sequence: int) -> None:
        async with asyncio.timeout(10):
            await self.projection.reached(sequence)

    def hashes(self) -> list[int]:
        page = self.store.store.reader.page(TAG, 0, after=None, max_count=None, max_bytes=1 << 30, now_ms=0)
        return [message.hash[0] for message in page.messages]


@pytest.fixture
async def lab(store: LocalStore) -> AsyncIterator[Lab]:
    made = Lab(store)
    yield made
    if made.task is not None:
        made.task.cancel()
        await asyncio.gather(made.task, return_exceptions=True)


async def test_what_this_node_answers_for_is_synced_and_nothing_else(lab: Lab) -> None:
    lab.projection.sync_if(lambda arrivals: 2 in sequences_of(arrivals.events))
    lab.start()
    for number in range(1, 4):
        await lab.log.append(SUBJECT, payload(number))
        await lab.reached(number)
    assert lab.store.synced == [False, True, False]


async def test_what_this_node_answers_for_is_told_of_when_the_disk_has_it(lab: Lab) -> None:
    lab.projection.sync_if(lambda arrivals: 2 in sequences_of(arrivals.events))
    lab.store.disk.clear()
    lab.start()
    await lab.log.append(SUBJECT, payload(1))
    await lab.reached(1)
    await lab.log.append(SUBJECT, payload(2))
    async with asyncio.timeout(10):
        await lab.store.asked.wait()
    assert (lab.hashes(), lab.reported, lab.projection.position) == ([1, 2], [1], 1)
    lab.store.disk.set()
    await lab.reached(2)
    assert lab.reported == [1, 2]


async def test_what_the_disk_does_not_take_is_not_told_of(lab: Lab) -> None:
    lab.projection.sync_if(lambda arrivals: 2 in sequences_of(arrivals.events))
    lab.store.broken = True
    task = lab.start()
    await lab.log.append(SUBJECT, payload(1))
    await lab.reached(1)
    await lab.log.append(SUBJECT, payload(2))
    with pytest.raises(OSError, match="takes nothing"):
        await task
    assert (lab.reported, lab.projection.position) == ([1], 1)


async def test_events_are_committed_before_anybody_hears_of_them(lab: Lab) -> None:
    lab.start()
    for number in range(1, 6):
        await lab.log.append(SUBJECT, payload(number))
    seen: list[list[int]] = []
    lab.projection.observe(lambda *_: seen.append(lab.hashes()))
    await lab.log.append(SUBJECT, payload(6))
    await lab.reached(6)
    assert seen[-1] == [1, 2, 3, 4, 5, 6]
    assert lab.reported == [1, 2, 3, 4, 5, 6]


async def test_the_position_moves_over_events_of_others(lab: Lab) -> None:
    lab.start()
    await lab.log.append(SUBJECT, payload(1))
    for number in range(2, 5):
        await lab.log.append(ELSEWHERE, payload(number))
    await lab.reached(4)
    (progress,) = await lab.store.store.progress()
    assert progress.position == 4
    assert progress.anchors[-1].sequence == 4, "the log is known again by what it has there"


async def test_what_cannot_be_read_is_skipped_and_counted(lab: Lab) -> None:
    lab.start()
    await lab.log.append(SUBJECT, b"\xffno event")
    await lab.log.append(SUBJECT, payload(1, namespace=40_000))
    await lab.log.append(SUBJECT, payload(2))
    await lab.reached(3)
    assert lab.hashes() == [2]
    assert lab.projection.unreadable == 2


async def test_nothing_is_folded_past_a_batch_that_failed(lab: Lab) -> None:
    task = lab.start()
    await lab.log.append(SUBJECT, payload(1))
    await lab.reached(1)
    lab.store.full = 1
    await asyncio.gather(*(lab.log.append(SUBJECT, payload(number)) for number in range(2, 8)))
    with pytest.raises(sqlite3.OperationalError):
        await task
    assert lab.hashes() == [1]
    (progress,) = await lab.store.store.progress()
    lab.start(after=progress.position)
    await lab.reached(7)
    assert lab.hashes() == [1, 2, 3, 4, 5, 6, 7]


async def test_a_batch_behind_a_hole_is_refused(lab: Lab, arrive: Any, stored: Any) -> None:
    store = lab.store.store
    await store.fold(Arrivals("main", [arrive(1, stored(1))], 1, 0))
    with pytest.raises(Exception, match="not folded"):
        await store.fold(Arrivals("main", [arrive(5, stored(5))], 5, 4))
    await store.fold(Arrivals("main", [arrive(3, stored(3))], 4, 1))
    await store.fold(Arrivals("main", [arrive(5, stored(5))], 5, 4))


def test_what_is_no_mailbox_event_is_left_out() -> None:
    changes = encode(b"c" * 16, Deleted((DeletedMessage(b"h" * 32, 0, (7,)),)))
    odd = {2: changes, 3: b"\xff", 4: payload(4, namespace=40_000), 5: payload(5)[:-1]}
    subjects = {6: "n.swarm.zz.short", 7: f"n.swarm.xx.{'ab' * 16}", 8: "short"}
    events = [LoggedEvent(n, subjects.get(n, SUBJECT), odd.get(n, payload(n)), n) for n in range(1, 11)]
    (arrived,) = read_event(events, young_since_ns=9)
    assert isinstance(arrived, list)
    assert [a.sequence for a in arrived] == [1, 2, 9, 10]
    assert [a.young for a in arrived] == [False, False, True, True]
    assert [a.payload for a in arrived] == [b"", changes, b"", b""], "a store's bytes are kept once"


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 700])
def test_a_replay_reads_in_columns_what_it_reads_one_by_one(count: int) -> None:
    changes = encode(b"c" * 16, Deleted((DeletedMessage(b"h" * 32, 0, (7,)),)))
    named = encode(b"r" * 16, Stored(b"h" * 32, 2, 1, 2**50, None, 4, 9, (3,)), SealedBody(5, bytes(32)))
    odd = {40: changes, 41: b"\xff", 300: named, 400: payload(1, namespace=40_000), 600: payload(150)[:-1]}
    events = [
        LoggedEvent(n, "n.swarm.zz.short" if n == 500 else SUBJECT, odd.get(n, payload(n % 250)), n)
        for n in range(1, count + 1)
    ]
    alone = [a for event in events for run in read_event([event], young_since_ns=2**60) for a in listed(run)]
    runs = read_event(events, young_since_ns=2**60)
    assert [a for run in runs for a in listed(run)] == alone
    skipped = {41, 400, 500, 600} & set(range(1, count + 1))
    assert sum(map(len, runs)) == len(alone) == count - len(skipped)
    assert any(isinstance(run, FirstStores) for run in runs) == (count in {2, 700})
