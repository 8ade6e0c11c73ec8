"""The newest messages, whose entries are written many at once: a commit writes bodies, side by side, and no more.

Their rows lie in ``message`` like all others; what is kept in memory is bounded, and made anew from the rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Final, NamedTuple

from services.swarm.adapters.event_codec import SEAL_BYTES
from services.swarm.adapters.store.schema import HASH, ORDER
from services.swarm.adapters.store.sql import insert_flat, prefix
from services.swarm.adapters.store.usage import Usage

#: Most messages without entries, in all mailboxes and in one.
MOST: Final = 1024
_MOST_IN_ONE: Final = 32
_UNINDEXED: Final = (
    "SELECT m.tag, m.id, m.shard, m.namespace, m.rank, m.hash, length(m.sealed) FROM message AS m "
    "LEFT JOIN counter AS c ON c.tag = m.tag AND c.namespace = m.namespace "
    "WHERE m.id > (SELECT message FROM indexed) AND m.id > coalesce(c.indexed, 0) ORDER BY m.id"
)

#: A number is given once: what is remembered of it as indexed must never be taken for said of a later message. So the
#: numbers of messages that are gone count, too; behind the newest of them it may only stand in a counter.
_ALL_INDEXED: Final = (
    "UPDATE indexed SET message = max(message, coalesce((SELECT max(id) FROM message), 0), "
    "coalesce((SELECT max(indexed) FROM counter), 0))"
)
_LAST_NUMBER: Final = "SELECT max(message, coalesce((SELECT max(id) FROM message), 0)) FROM indexed"


class Recent(NamedTuple):
    """One message that has no entries yet: nothing has happened to it since its store, the first of its hash."""

    id: int
    shard: int
    namespace: int
    #: Of the store, and order key.
    sequence: int
    #: The first eight bytes of the hash.
    key: int
    #: Bytes of the body, unsealed.
    size: int


class RecentMessages:
    """What the writer has left to be indexed.

    Args:
        most: bound on how many wait when a batch ends.

    Attributes:
        committed: those messages by their mailbox's tag, oldest first, as they are in the tables. Who reads them takes
            them before looking at the tables, and leaves out those that the counters there say are indexed.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self.committed: dict[bytes, tuple[Recent, ...]] = {}
        self._changed: dict[bytes, tuple[Recent, ...]] = {}
        self._count = 0
        self._committed_count = 0
        self._full: set[bytes] = set()

    def has_room(self, count: int) -> bool:
        """Tell whether so many more messages can wait to be indexed."""
        return self._count + count <= self._most

    def add(self, tag: bytes, recent: Recent) -> None:
        """Leave a message to be indexed later."""
        messages = (*self.of(tag), recent)
        self._changed[tag] = messages
        self._count += 1
        if len(messages) > _MOST_IN_ONE:
            self._full.add(tag)

    def of(self, tag: bytes) -> tuple[Recent, ...]:
        """Return a mailbox's messages as the transaction under way has them."""
        found = self._changed.get(tag)
        return self.committed.get(tag, ()) if found is None else found

    def index(self, connection: sqlite3.Connection, tags: Iterable[bytes]) -> None:
        """Write the entries of all messages of some mailboxes."""
        waiting = {tag: messages for tag in tags if (messages := self.of(tag))}
        _index(connection, waiting)
        for tag, messages in waiting.items():
            self._changed[tag] = ()
            self._count -= len(messages)

    def index_all(self, connection: sqlite3.Connection) -> None:
        """Write the entries of all messages."""
        self.index(connection, {**self.committed, **self._changed})

    def settle(self, connection: sqlite3.Connection, last_id: int) -> None:
        """End a batch, whose last message has the number ``last_id``: write entries if too many wait."""
        if self._count > self._most:
            self.index_all(connection)
        elif self._full:
            self.index(connection, self._full)
        self._full.clear()
        if not self._count:
            connection.execute("UPDATE indexed SET message = ?", (last_id,))

    def commit(self) -> None:
        """Take what was changed for true: it is committed."""
        for tag, messages in self._changed.items():
            if messages:
                self.committed[tag] = messages
            else:
                self.committed.pop(tag, None)
        self._changed.clear()
        self._committed_count = self._count

    def rollback(self) -> None:
        """Forget what was changed."""
        self._changed.clear()
        self._full.clear()
        self._count = self._committed_count


def last_number(connection: sqlite3.Connection) -> int:
    """Return the largest number that a message may have had before the store was opened, or has now."""
    number: int = connection.execute(_LAST_NUMBER).fetchone()[0]
    return number


def recover(connection: sqlite3.Connection) -> None:
    """Index what a store that was closed or died had left for later."""
    waiting: dict[bytes, tuple[Recent, ...]] = {}
    for tag, number, shard, namespace, rank, message_hash, sealed_bytes in connection.execute(_UNINDEXED):
        recent = Recent(number, shard, namespace, rank, prefix(message_hash), sealed_bytes - SEAL_BYTES)
        waiting[tag] = (*waiting.get(tag, ()), recent)
    _index(connection, waiting)
    connection.execute(_ALL_INDEXED)


def _index(connection: sqlite3.Connection, waiting: Mapping[bytes, Iterable[Recent]]) -> None:
    entries: list[tuple[int, int, int, int]] = []
    usage = Usage()
    for tag, messages in waiting.items():
        mailbox = prefix(tag)
        for number, shard, namespace, sequence, key, size in messages:
            entries.append((mailbox, HASH, key, number))
            entries.append((mailbox, ORDER + namespace, sequence, number))
            usage.add((tag, namespace, shard), 1, size, sequence, number)
    insert_entries(connection, entries)
    usage.write(connection)


def insert_entries(connection: sqlite3.Connection, entries: list[tuple[int, int, int, int]]) -> None:
    """Insert rows of ``entry``, in their order: every page is touched once."""
    entries.sort()
    insert_flat(connection, "entry", 4, list(chain.from_iterable(entries)))
