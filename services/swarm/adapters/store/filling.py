"""Filling an empty store from the log: without a write-ahead log, and without waiting for the disk.

Until it is level with the log the store is worth nothing, so nothing is risked: a file that a crash leaves half-filled
is known by its version, thrown away and filled anew. Every page is written once instead of twice.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from services.swarm.adapters.store import schema

#: Fewer events than this, waiting in the log, are not worth the change.
WORTH_IT: Final = 2_000


def begin(connection: sqlite3.Connection) -> None:
    """Leave the safe way of writing; no other connection may be open."""
    connection.execute(f"PRAGMA user_version = {schema.FILLING}")
    connection.execute("PRAGMA journal_mode = MEMORY")
    connection.execute("PRAGMA synchronous = OFF")


def end(connection: sqlite3.Connection, folder: Path) -> None:
    """Have everything on the disk, and write safely from now on."""
    descriptor = os.open(folder / schema.FILE, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA user_version = {schema.VERSION}")
