"""Filling an empty store from the log: without a write-ahead log, and without waiting for the disk.

Until it is level with the log the store is worth nothing, so nothing is risked: a file that a crash leaves half-filled
is known by its version, thrown away and filled anew. Every page is written once instead of twice.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from services.swarm.adapters.store import schema
from services.swarm.adapters.store.sync import Disk

#: Fewer events than this, waiting in the log, are not worth the change.
WORTH_IT: Final = 2_000


def begin(connection: sqlite3.Connection, disk: Disk) -> None:
    """Leave the safe way of writing; no other connection may be open."""
    disk.forget_log()
    connection.execute(f"PRAGMA user_version = {schema.FILLING}")
    connection.execute("PRAGMA journal_mode = MEMORY")
    connection.execute("PRAGMA synchronous = OFF")


def end(connection: sqlite3.Connection, disk: Disk) -> None:
    """Have everything on the disk, and write safely from now on."""
    disk.sync_file()
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA user_version = {schema.VERSION}")
