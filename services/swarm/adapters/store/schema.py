"""The local store's tables: one SQLite file per node, disposable, folded from the log (docs/adr/0006)."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

#: Raised when the tables change; a file of another version is thrown away and filled from the log again.
VERSION: Final = 3
#: Stands in place of the version while an empty store is filled, see ``filling``.
FILLING: Final = -1
FILE: Final = "mailboxes.sqlite"
#: Kinds of ``entry``. Order keys of namespace n (-32768 … 32767) have the kind ``ORDER`` + n.
HASH: Final = 1
ORDER: Final = 1 << 16
#: Expiries are noted in periods of 2**12 ms, for blocks of 2**6 messages.
EXPIRY_BITS: Final = 12
BLOCK_BITS: Final = 6
#: Bodies of 2 KB waste half of a page of 4 KiB; pages of 16 KiB save nothing more at 1 KB.
_PAGE_BYTES: Final = 8192
#: Most of the write-ahead log: 2 MB.
_CHECKPOINT_PAGES: Final = 256

#: Tables of ``progress.py``, of use to other followers, too.
PROGRESS_TABLE: Final = """
-- How far which shards are folded, in the same transaction as what was folded.
CREATE TABLE progress (
    number INTEGER PRIMARY KEY,
    follower TEXT NOT NULL,
    shards BLOB NOT NULL,
    incarnation TEXT NOT NULL,
    position INTEGER NOT NULL,
    highest_rank INTEGER NOT NULL,
    anchors BLOB NOT NULL
);
"""
_TABLES: Final = """
-- What each mailbox holds that the store has heard of; sequence is that of its last event, 0 if that is lost. Only
-- messages up to the id indexed are in this and in entry; see recent.py for the others, and for the table indexed.
CREATE TABLE counter (
    tag BLOB NOT NULL,
    namespace INTEGER NOT NULL,
    shard INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    indexed INTEGER NOT NULL,
    PRIMARY KEY (tag, namespace)
) WITHOUT ROWID;
-- What is looked up within one mailbox lies side by side, so that a store touches one page of this tree: hashes (key
-- is the first eight bytes) and order (key is the rank). The mailbox is the first eight bytes of its tag, which are
-- compared faster than all; what is found is asked for the whole.
CREATE TABLE entry (
    mailbox INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    key INTEGER NOT NULL,
    message INTEGER NOT NULL,
    PRIMARY KEY (mailbox, kind, key, message)
) WITHOUT ROWID;
CREATE TABLE indexed (message INTEGER NOT NULL);
INSERT INTO indexed VALUES (0);
-- In order of arrival; sequence is that of the copy held here, 0 if the log lacks one that gives this very row.
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    tag BLOB NOT NULL,
    shard INTEGER NOT NULL,
    namespace INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    hash BLOB NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    expiry_ms INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    period INTEGER NOT NULL,
    sealed BLOB NOT NULL
);
CREATE INDEX message_lost ON message (rank) WHERE sequence = 0;
-- Among which messages (a block of ids) some expire in a period, or did until their expiry moved.
CREATE TABLE expiring (
    period INTEGER NOT NULL,
    block INTEGER NOT NULL,
    PRIMARY KEY (period, block)
) WITHOUT ROWID;
-- Log sequences of a message's other copies.
CREATE TABLE copy (
    message INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (message, sequence)
) WITHOUT ROWID;
-- Every event that is no store, as it lies in the log, for as long as the log must have it.
CREATE TABLE change (
    id INTEGER PRIMARY KEY,
    event BLOB NOT NULL UNIQUE,
    tag BLOB NOT NULL,
    shard INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    needed_until_ms INTEGER,
    payload BLOB NOT NULL
);
CREATE INDEX change_mailbox ON change (tag);
CREATE INDEX change_until ON change (needed_until_ms) WHERE needed_until_ms IS NOT NULL;
CREATE INDEX change_lost ON change (id) WHERE sequence = 0;
CREATE TABLE revocation (
    tag BLOB NOT NULL,
    number INTEGER NOT NULL,
    token BLOB NOT NULL,
    PRIMARY KEY (tag, number)
) WITHOUT ROWID;
CREATE TABLE body_key (
    number INTEGER PRIMARY KEY,
    period INTEGER NOT NULL,
    key BLOB NOT NULL
);
"""


def open_for_writing(folder: Path, cache_bytes: int) -> sqlite3.Connection:
    """Open or make the store in ``folder``; one of another version is overwritten by an empty one.

    Args:
        folder: must exist and belong to this node alone.
        cache_bytes: most memory for pages.

    Raises:
        sqlite3.Error: the file is damaged, locked or cannot be written.
    """
    path = folder / FILE
    connection = _connect(path, cache_bytes)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, VERSION):
        connection.close()
        forget(folder)
        connection = _connect(path, cache_bytes)
        version = 0
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")  # what must be on the disk is synced, see ``sync``
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    if version == 0:
        connection.executescript(f"BEGIN; {_TABLES} {PROGRESS_TABLE} PRAGMA user_version = {VERSION}; COMMIT;")
    # What a crash left in the write-ahead log may hold bytes that were deleted since.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return connection


def open_for_reading(folder: Path, cache_bytes: int) -> sqlite3.Connection:
    """Open a second connection that cannot change anything; the store must exist."""
    connection = _connect(folder / FILE, cache_bytes)
    connection.execute("PRAGMA query_only = ON")
    return connection


def holds_mail(connection: sqlite3.Connection) -> bool:
    """Tell whether anything was ever folded into a store."""
    return connection.execute("SELECT 1 FROM counter LIMIT 1").fetchone() is not None


def open_empty() -> sqlite3.Connection:
    """Open a store in memory that holds nothing, to read from while the real one cannot be read."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(f"{_TABLES} {PROGRESS_TABLE}")
    return connection


def forget(folder: Path) -> None:
    """Remove the store; it fills again from the log."""
    for suffix in ("", "-wal", "-shm"):
        (folder / f"{FILE}{suffix}").unlink(missing_ok=True)


def _connect(path: Path, cache_bytes: int) -> sqlite3.Connection:
    # The file is this process's alone, so that its connections need not lock each other out through the kernel.
    uri = f"{path.absolute().as_uri()}?vfs=unix-excl"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5.0)
    # The bound is turned into pages of the size that is known at that moment: have it known before.
    connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
    connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
    connection.execute(f"PRAGMA cache_size = -{cache_bytes // 1024}")
    return connection
