"""The one thread that writes to a store: whatever waits when it is free becomes one transaction (group commit)."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import Any, Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

#: Most pieces of work in one transaction.
_MOST_GROUPED: Final = 64


class StoreClosed(RuntimeError):
    """Work was handed to a store that is closed, or that closed before the work's turn."""


class _Job(NamedTuple, Generic[T]):
    work: Work[T]
    done: asyncio.Future[T]
    #: Runs inside a transaction, which others may share.
    grouped: bool


class Writer:
    """Runs work on the writing connection, one piece after the other, and reports in the event loop.

    A result is reported when the transaction that the work was part of is on disk. Work that raises costs its
    transaction: the others of the group are run again, each by itself.

    Args:
        connection: the writing connection, without automatic transactions; belongs to the thread from now on.
        on_commit: called in the thread when a transaction is on disk, before anybody is told.
        on_rollback: called in the thread when a transaction was rolled back, before anything else runs.
    """

    def __init__(
        self, connection: sqlite3.Connection, on_commit: Callable[[], None], on_rollback: Callable[[], None]
    ) -> None:
        self._connection = connection
        self._on_commit = on_commit
        self._on_rollback = on_rollback
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def run(self, work: Work[T]) -> asyncio.Future[T]:
        """Queue work for a shared transaction; the result comes when it is durable.

        Raises:
            StoreClosed: through the result, when the store closes first.
        """
        return self._put(work, grouped=True)

    def run_alone(self, work: Work[T]) -> asyncio.Future[T]:
        """Queue work that runs outside any transaction."""
        return self._put(work, grouped=False)

    async def close(self) -> None:
        """Finish what is queued, then close the connection."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _put(self, work: Work[T], *, grouped: bool) -> asyncio.Future[T]:
        done: asyncio.Future[T] = self._loop.create_future()
        if self._closed:
            done.set_exception(StoreClosed("the store is closed"))
        else:
            self._jobs.put(_Job(work, done, grouped))
        return done

    def _run(self) -> None:
        group: list[_Job[Any]] = []
        while (job := self._jobs.get()) is not None:
            if not job.grouped:
                self._report([(job, *_attempt(job.work, self._connection))])
                continue
            group.append(job)
            alone: _Job[Any] | None = None
            ending = False
            while len(group) < _MOST_GROUPED and not self._jobs.empty():
                further = self._jobs.get()
                if further is None or not further.grouped:
                    ending, alone = further is None, further
                    break
                group.append(further)
            self._commit(group)
            group.clear()
            if alone is not None:
                self._report([(alone, *_attempt(alone.work, self._connection))])
            if ending:
                break
        self._connection.close()

    def _commit(self, group: list[_Job[Any]]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            results = [job.work(self._connection) for job in group]
            self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever went wrong belongs to the one who asked
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._on_rollback()
            if len(group) == 1:
                self._report([(group[0], None, error)])
                return
            for job in group:
                self._commit([job])
        else:
            self._on_commit()
            self._report([(job, result, None) for job, result in zip(group, results, strict=True)])

    def _report(self, outcomes: list[tuple[_Job[Any], Any, Exception | None]]) -> None:
        self._loop.call_soon_threadsafe(_resolve, outcomes)


def _attempt(work: Work[T], connection: sqlite3.Connection) -> tuple[T | None, Exception | None]:
    try:
        return work(connection), None
    except Exception as error:  # noqa: BLE001 - as above
        return None, error


def _resolve(outcomes: list[tuple[_Job[Any], Any, Exception | None]]) -> None:
    for job, result, error in outcomes:
        if job.done.done():
            continue
        if error is None:
            job.done.set_result(result)
        else:
            job.done.set_exception(error)
