"""One SQLCipher file, used by one owned thread, so that the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, cast

from naisho.errors import StoreDamaged, StoreFromFuture
from naisho.store.schema import MIGRATIONS

T = TypeVar("T")
#: sqlcipher3 is sqlite3's code over another library: same methods, its own classes.
Connection = sqlite3.Connection
BUSY_SECONDS = 10.0


class Database:
    """An open store.

    Every piece of work runs in its own transaction on the store's thread: all of it happens, or nothing. Several
    processes may open the same file; each waits up to ten seconds for another's transaction.
    """

    def __init__(self, thread: ThreadPoolExecutor, connection: Connection) -> None:
        self._thread = thread
        self._connection = connection

    @classmethod
    async def open(cls, path: Path, key: bytes) -> Database:
        """Open or create a database with its 32-byte key.

        Raises:
            StoreDamaged: the file is not a database under this key.
            StoreFromFuture: it was written by a newer version.
        """
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="naisho-store")
        try:
            connection = await asyncio.get_running_loop().run_in_executor(thread, _connect, path, key)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(thread, connection)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run work in one transaction on the store's thread and return its result.

        Raises:
            StoreDamaged: a page of the file is not what was written.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work)

    async def close(self) -> None:
        """Finish what was asked for and close the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown(wait=False)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        from sqlcipher3.dbapi2 import DatabaseError, IntegrityError, OperationalError  # noqa: PLC0415 - loaded when opened

        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        except (IntegrityError, OperationalError):
            raise
        except DatabaseError as error:
            raise StoreDamaged from error
        return result


def _connect(path: Path, key: bytes) -> Connection:
    from sqlcipher3 import dbapi2  # noqa: PLC0415 - a library of some megabytes, needed only with a store

    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # before SQLite, whose other files take its mode
    connection = cast(
        "Connection", dbapi2.connect(str(path), isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False)
    )
    try:
        connection.execute("PRAGMA cipher_log_level = NONE")  # errors are raised; nothing is written to the terminal
        connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
        for pragma in ("temp_store = MEMORY", "journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection)
    except BaseException as error:
        connection.close()
        if isinstance(error, dbapi2.DatabaseError) and not isinstance(error, dbapi2.OperationalError):
            raise StoreDamaged from error
        raise
    return connection


def _migrate(connection: Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise StoreFromFuture(version=version)
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            for statement in script.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
