from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.swarm.adapters.store.writer import StoreClosed, Writer


class Lab:
    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path / "file", isolation_level=None, check_same_thread=False)
        self.connection.execute("CREATE TABLE number (n INTEGER)")
        self.commits: list[str] = []
        self.connection.set_trace_callback(lambda text: self.commits.append(text) if text == "COMMIT" else None)
        self.told = 0
        self.rollbacks = 0
        self.writer = Writer(self.connection, self.count_commit, self.count_rollback)
        self.gate = threading.Event()

    def count_commit(self) -> None:
        assert not self.connection.in_transaction
        self.told += 1

    def count_rollback(self) -> None:
        self.rollbacks += 1

    def insert(self, number: int) -> asyncio.Future[int]:
        def work(connection: sqlite3.Connection) -> int:
            connection.execute("INSERT INTO number VALUES (?)", (number,))
            if number < 0:
                raise ValueError("no negative numbers")
            return number

        return self.writer.run(work)

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
