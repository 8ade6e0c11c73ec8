"""Writing to a store: small work at once, everything else and all waiting for the disk in one thread (group commit)."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

#: Most pieces of work in one transaction.
_MOST_GROUPED: Final = 64
#: Small work is checkpointed by the thread when it has written so many bytes to the write-ahead log, so that no commit
#: in the event loop's thread has to do that, ...
_CHECKPOINT_BYTES: Final = 1_500_000
#: ... where each commit writes so many besides what it was said to write: pages that it changes in part.
_COMMIT_BYTES: Final = 32 * 1024


class StoreClosed(RuntimeError):
    """Work was handed to a store that is closed, or that closed before the work's turn."""


class _Job(NamedTuple, Generic[T]):
    #: ``None``: nothing is left to be done but to sync.
    work: Work[T] | None
    result: T | None
    done: asyncio.Future[T]
    #: Runs inside a transaction, which others may share.
    grouped: bool
    #: The result comes when the disk has it.
    synced: bool


class Writer:
    """Runs work on the writing connection, one piece after the other, and reports in the event loop.

    A result is reported when the transaction that the work was part of is committed, which survives the death of every
    process, and if it is to be synced, when the disk has it, which survives a loss of power. Work that raises costs its
    transaction: the others of the group are run again, each by itself.

    Args:
        connection: the writing connection, without automatic transactions; belongs to this object from now on.
        sync: has the disk take everything that was committed; called in the thread.
        on_commit: called when a transaction is committed, where it was, before anybody is told.
        on_rollback: called when a transaction was rolled back, where it was, before anything else runs.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        sync: Callable[[], None],
        on_commit: Callable[[], None],
        on_rollback: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._sync = sync
        self._on_commit = on_commit
        self._on_rollback = on_rollback
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        #: Jobs that need the connection and are not reported yet: while there are any, it is the thread's.
        self._handed = 0
        self._commits = 0
        #: How many of them the disk has for certain.
        self._synced = 0
        #: Bytes that small work wrote since the last checkpoint.
        self._unchecked = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def run(self, work: Work[T], *, synced: bool = True) -> asyncio.Future[T]:
        """Queue work for a shared transaction; the result comes when it is committed, and by default synced.

        Raises:
            StoreClosed: through the result, when the store closes first.
            OSError: through the result, when the disk does not take what was committed.
        """
        return self._put(work, grouped=True, synced=synced)

    def run_small(self, work: Work[T], *, size: int, synced: bool = True) -> asyncio.Future[T]:
        """Do work that takes less than handing it over: at once, unless the connection is in use.

        Args:
            work: as for ``run``.
            size: bytes that it writes.
            synced: as for ``run``.
        """
        if not self.takes_small(size):
            return self._put(work, grouped=True, synced=synced)
        done: asyncio.Future[T] = self._loop.create_future()
        try:
            result = self.do_small(work, size=size)
        except Exception as error:  # noqa: BLE001 - whatever went wrong belongs to the one who asked
            done.set_exception(error)
            return done
        if synced:
            self._jobs.put(_Job(None, result, done, grouped=True, synced=True))
        else:
            done.set_result(result)
        return done

    def sync(self) -> asyncio.Future[None]:
        """Have the disk take what was done, or handed over, up to now; fails as ``run``."""
        done: asyncio.Future[None] = self._loop.create_future()
        if self._closed:
            done.set_exception(StoreClosed("the store is closed"))
        else:
            self._jobs.put(_Job(None, None, done, grouped=True, synced=True))
        return done

    def takes_small(self, size: int) -> bool:
        """Tell whether small work that writes so many bytes can be done at once."""
        if self._unchecked + size + _COMMIT_BYTES > _CHECKPOINT_BYTES and not self._closed:
            self._unchecked = 0
            self.run_alone(_checkpoint)
        return not self._handed and not self._closed

    def do_small(self, work: Work[T], *, size: int) -> T:
        """Do small work, which ``takes_small`` says can be; the result is committed and not synced."""
        (result,) = self._transact([work])
        self._unchecked += size + _COMMIT_BYTES
        return cast("T", result)

    def run_alone(self, work: Work[T]) -> asyncio.Future[T]:
        """Queue work that runs outside any transaction."""
        return self._put(work, grouped=False, synced=False)

    async def close(self) -> None:
        """Finish what is queued, then close the connection."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _put(self, work: Work[T], *, grouped: bool, synced: bool) -> asyncio.Future[T]:
        done: asyncio.Future[T] = self._loop.create_future()
        if self._closed:
            done.set_exception(StoreClosed("the store is closed"))
        else:
            self._handed += 1
            self._jobs.put(_Job(work, None, done, grouped, synced))
        return done

    def _run(self) -> None:
        group: list[_Job[Any]] = []
        while (job := self._jobs.get()) is not None:
            if not job.grouped:
                self._report([(job, *_attempt(job, self._connection))])
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
                self._report([(alone, *_attempt(alone, self._connection))])
            if ending:
                break
        self._connection.close()

    def _commit(self, group: Sequence[_Job[Any]]) -> None:
        """Do a group's work, have it synced if that is asked for, and report."""
        works = [job.work for job in group if job.work is not None]
        try:
            results = iter(self._transact(works) if works else ())
        except Exception as error:  # noqa: BLE001 - as above
            if len(group) == 1:
                self._report([(group[0], None, error)])
                return
            for job in group:
                self._commit([job])
            return
        failure = self._synchronise() if any(job.synced for job in group) else None
        self._report([(job, job.result if job.work is None else next(results), failure) for job in group])

    def _transact(self, works: Sequence[Work[Any]]) -> list[Any]:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            results = [work(connection) for work in works]
            connection.execute("COMMIT")
        except Exception:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._on_rollback()
            raise
        self._commits += 1
        self._on_commit()
        return results

    def _synchronise(self) -> OSError | None:
        commits = self._commits
        if commits != self._synced:
            try:
                self._sync()
            except OSError as error:
                return error
            self._synced = commits
        return None

    def _report(self, outcomes: list[tuple[_Job[Any], Any, Exception | None]]) -> None:
        self._loop.call_soon_threadsafe(self._resolve, outcomes)

    def _resolve(self, outcomes: list[tuple[_Job[Any], Any, Exception | None]]) -> None:
        for job, result, error in outcomes:
            self._handed -= job.work is not None
            if job.done.done():
                continue
            if error is None:
                job.done.set_result(result)
            else:
                job.done.set_exception(error)


def _attempt(job: _Job[T], connection: sqlite3.Connection) -> tuple[T | None, Exception | None]:
    assert job.work is not None
    try:
        return job.work(connection), None
    except Exception as error:  # noqa: BLE001 - as above
        return None, error


def _checkpoint(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
