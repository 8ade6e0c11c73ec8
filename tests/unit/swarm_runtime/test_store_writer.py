from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from services.swarm.adapters.store.writer import StoreClosed, Writer


class Lab:
    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path / "file", isolation_level=None, check_same_thread=False)
        self.connection.execute("CREATE TABLE number (n INTEGER)")
        self.commits: list[str] = []
        self.checkpoints: list[str] = []
        self.connection.set_trace_callback(self.trace)
        self.told = 0
        self.rollbacks = 0
        #: How many commits there were at each sync, and what the next syncs raise.
        self.syncs: list[int] = []
        self.disk: list[OSError] = []
        self.before_sync: Callable[[], object] = lambda: None
        #: Names of the threads in which work was done.
        self.threads: set[str] = set()
        self.writer = Writer(
            self.connection, sync=self.count_sync, on_commit=self.count_commit, on_rollback=self.count_rollback
        )
        self.gate = threading.Event()

    def trace(self, text: str) -> None:
        if text == "COMMIT":
            self.commits.append(text)
        elif "wal_checkpoint" in text:
            self.checkpoints.append(threading.current_thread().name)

    def count_commit(self) -> None:
        assert not self.connection.in_transaction
        self.told += 1

    def count_sync(self) -> None:
        assert threading.current_thread() is not threading.main_thread(), "the loop never waits for the disk"
        self.before_sync()
        self.syncs.append(len(self.commits))
        if self.disk:
            raise self.disk.pop()

    def count_rollback(self) -> None:
        self.rollbacks += 1

    def insert(self, number: int, *, synced: bool = True) -> asyncio.Future[int]:
        return self.writer.run(self.inserting(number), synced=synced)

    def insert_small(self, number: int, *, size: int = 8, synced: bool = True) -> asyncio.Future[int]:
        return self.writer.run_small(self.inserting(number), size=size, synced=synced)

    def inserting(self, number: int) -> Callable[[sqlite3.Connection], int]:
        def work(connection: sqlite3.Connection) -> int:
            self.threads.add(threading.current_thread().name)
            connection.execute("INSERT INTO number VALUES (?)", (number,))
            if number < 0:
                raise ValueError("no negative numbers")
            return number

        return work

    def block(self) -> asyncio.Future[bool]:
        """Keep the thread busy until the gate opens, so that what comes meanwhile waits."""
        return self.writer.run_alone(lambda _: self.gate.wait(10))

    async def numbers(self) -> list[int]:
        rows = await self.writer.run(lambda c: c.execute("SELECT n FROM number ORDER BY rowid").fetchall())
        return [row[0] for row in rows]


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    made = Lab(tmp_path)
    yield made
    made.gate.set()
    await made.writer.close()


async def test_what_waits_becomes_one_transaction(lab: Lab) -> None:
    blocked = lab.block()
    results = [lab.insert(number) for number in range(50)]
    lab.gate.set()
    assert await blocked
    assert await asyncio.gather(*results) == list(range(50))
    assert (len(lab.commits), lab.told) == (1, 1)
    assert await lab.numbers() == list(range(50))


async def test_a_failure_costs_only_itself(lab: Lab) -> None:
    blocked = lab.block()
    results = [lab.insert(number) for number in (1, -2, 3)]
    lab.gate.set()
    await blocked
    outcomes = await asyncio.gather(*results, return_exceptions=True)
    assert outcomes[0] == 1
    assert isinstance(outcomes[1], ValueError)
    assert outcomes[2] == 3
    assert await lab.numbers() == [1, 3]
    assert lab.rollbacks >= 1
    assert lab.told == len(lab.commits)


async def test_work_outside_transactions_keeps_its_turn(lab: Lab) -> None:
    blocked = lab.block()
    first = lab.insert(1)
    alone = lab.writer.run_alone(lambda c: (c.in_transaction, c.execute("SELECT count(*) FROM number").fetchone()[0]))
    second = lab.insert(2)
    lab.gate.set()
    await asyncio.gather(blocked, first, second)
    assert await alone == (False, 1)


async def test_a_cancelled_waiter_disturbs_nobody(lab: Lab) -> None:
    blocked = lab.block()
    results = [lab.insert(number) for number in range(3)]
    results[1].cancel()
    lab.gate.set()
    await blocked
    assert await results[2] == 2
    assert await lab.numbers() == [0, 1, 2]


async def test_closing_finishes_what_is_queued_and_refuses_the_rest(lab: Lab) -> None:
    blocked = lab.block()
    results = [lab.insert(number) for number in range(5)]
    closing = asyncio.create_task(lab.writer.close())
    await asyncio.sleep(0)
    late = lab.insert(9)
    lab.gate.set()
    await closing
    assert await asyncio.gather(*results) == list(range(5))
    assert await blocked
    with pytest.raises(StoreClosed):
        await late
    with pytest.raises(sqlite3.ProgrammingError):
        lab.connection.execute("SELECT 1")


async def test_what_is_not_to_be_synced_is_not(lab: Lab) -> None:
    assert await lab.insert(1, synced=False) == 1
    assert lab.syncs == []
    assert await lab.insert(2) == 2
    assert lab.syncs == [2], "what came before it is on the disk as well"
    assert await lab.writer.run(lambda _: 7) == 7
    assert lab.syncs == [2, 3]


async def test_a_sync_by_itself_is_of_what_was_done_before_it(lab: Lab) -> None:
    await lab.writer.sync()
    assert lab.syncs == [], "nothing was written"
    await lab.insert_small(1, synced=False)
    lab.disk = [OSError("no")]
    with pytest.raises(OSError, match="no"):
        await lab.writer.sync()
    await lab.writer.sync()
    await lab.writer.sync()
    assert lab.syncs == [1, 1], "once the disk has it, it is not asked again"
    blocked = lab.block()
    queued = lab.insert(2, synced=False)
    synced = lab.writer.sync()
    lab.gate.set()
    await asyncio.gather(blocked, queued, synced)
    assert lab.syncs == [1, 1, 2]
    await lab.writer.close()
    with pytest.raises(StoreClosed):
        await lab.writer.sync()


async def test_a_disk_that_takes_nothing_is_told_of_and_asked_again(lab: Lab) -> None:
    lab.disk = [OSError("no"), OSError("no")]
    for insert in (lab.insert, lab.insert_small):
        with pytest.raises(OSError, match="no"):
            await insert(1)
    assert await lab.insert_small(2) == 2
    assert lab.syncs == [1, 2, 3]
    assert await lab.numbers() == [1, 1, 2]


async def test_small_work_is_done_at_once_where_it_was_asked_for(lab: Lab) -> None:
    done = lab.insert_small(1, synced=False)
    assert done.done()
    assert await done == 1
    assert lab.threads == {threading.main_thread().name}
    assert lab.told == 1
    assert not lab.syncs


async def test_small_work_that_is_to_be_synced_does_not_keep_others_waiting(lab: Lab) -> None:
    released = threading.Event()
    lab.before_sync = released.wait
    first = lab.insert_small(1)
    second, third = lab.insert_small(2, synced=False), lab.insert_small(3)
    assert second.done()
    assert not first.done()
    released.set()
    assert [await first, await third] == [1, 3]
    assert lab.syncs[-1] == 3
    assert len(lab.syncs) <= 2, "what waits for the disk waits together"


async def test_small_work_waits_for_its_turn_behind_other_work(lab: Lab) -> None:
    blocked = lab.block()
    results = [lab.insert(1), lab.insert_small(2, synced=False), lab.insert_small(3)]
    assert not any(result.done() for result in results)
    lab.gate.set()
    await asyncio.gather(blocked, *results)
    assert lab.threads == {"store-writer"}
    assert await lab.numbers() == [1, 2, 3]
    await lab.insert_small(4, synced=False)
    assert threading.main_thread().name in lab.threads


async def test_small_work_that_fails_changes_nothing(lab: Lab) -> None:
    with pytest.raises(ValueError, match="negative"):
        await lab.insert_small(-1)
    assert (lab.rollbacks, lab.told) == (1, 0)
    assert not lab.syncs
    assert await lab.insert_small(1, synced=False) == 1
    assert await lab.numbers() == [1]


async def test_a_checkpoint_of_small_work_is_the_threads(lab: Lab) -> None:
    for number in range(3):
        await lab.insert_small(number, size=1_000_000, synced=False)
    await lab.numbers()  # queued behind it
    assert lab.checkpoints == ["store-writer"]


async def test_small_work_is_refused_when_all_is_closed(lab: Lab) -> None:
    await lab.writer.close()
    with pytest.raises(StoreClosed):
        await lab.insert_small(1)
