"""Which copies the custodian has still to erase, and how far it has read the log: one small SQLite file.

What an event asks for is noted in the transaction that moves the position past it, and cleared when the log has erased
it: a crash in between erases twice, never not at all. A lost file means that the log is read again from its beginning.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from services.swarm.adapters.store.progress import Progress, load_progress, save_progress
from services.swarm.adapters.store.schema import PROGRESS_TABLE
from services.swarm.projections.arrivals import Anchor

_FILE: Final = "custodian.sqlite"
_FOLLOWER: Final = "custodian"
#: Most copies handed out at once.
_SLICE: Final = 16
_COPIES: Final = """
CREATE TABLE copy (
    sequence INTEGER PRIMARY KEY,
    tag BLOB NOT NULL,
    hash BLOB NOT NULL,
    due_ms INTEGER NOT NULL
);
CREATE INDEX copy_due ON copy (due_ms);
"""


class Doomed(NamedTuple):
    """A copy of a message in the log that is to be erased."""

    sequence: int
    #: Whose it must be: after a log was put back, another event may have the number.
    tag: bytes
    hash: bytes
    #: Milliseconds since 1970.
    due_ms: int


class Ledger:
    """The file.

    Args:
        folder: the custodian's own; made if it is missing.

    Raises:
        OSError, sqlite3.Error: it cannot be opened.

    Attributes:
        progress: how far the log is read.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(folder / _FILE, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        # After a loss of power some of the newest may be missing, position included: it is read again.
        connection.execute("PRAGMA synchronous = NORMAL")
        if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            connection.executescript(f"BEGIN; {_COPIES} {PROGRESS_TABLE} COMMIT;")
        self._connection = connection
        found = load_progress(connection)
        if found:
            self.progress = found[0]
        else:
            self.begin_again("")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def begin_again(self, incarnation: str) -> None:
        """Read the log from its beginning; in another log, all numbers are others."""
        self.progress = Progress(0, _FOLLOWER, frozenset(), incarnation=incarnation)
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("DELETE FROM copy")
        save_progress(self._connection, [self.progress])
        self._connection.execute("COMMIT")

    def take(self, doomed: Iterable[Doomed], position: int, newest: Anchor | None) -> None:
        """Note what is to be erased, and that everything up to a position has been read."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT OR REPLACE INTO copy VALUES (?, ?, ?, ?)", doomed)
        self.progress.advance(self._connection, position, newest)
        self._connection.execute("COMMIT")

    def due(self, now_ms: int) -> Sequence[Doomed]:
        """Return some of the copies that are due, the longest waiting first."""
        query = "SELECT sequence, tag, hash, due_ms FROM copy WHERE due_ms <= ? ORDER BY due_ms, sequence LIMIT ?"
        return [Doomed._make(row) for row in self._connection.execute(query, (now_ms, _SLICE))]

    def backlog(self, now_ms: int) -> int:
        """Return how many copies are due."""
        query = "SELECT count(*) FROM copy WHERE due_ms <= ?"
        count: int = self._connection.execute(query, (now_ms,)).fetchone()[0]
        return count

    def clear(self, sequence: int) -> None:
        """Note that a copy is erased, or was none of what was to be erased."""
        self._connection.execute("DELETE FROM copy WHERE sequence = ?", (sequence,))
