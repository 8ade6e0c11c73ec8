"""Rows of messages: found by hash, inserted in bulk, merged with a later store, removed."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from typing import Any, Final, NamedTuple

from services.swarm.adapters.event_codec import SEAL_BYTES
from services.swarm.adapters.store.schema import HASH, ORDER
from services.swarm.adapters.store.sql import insert_flat, select_pairs
from services.swarm.adapters.store.usage import Usage
from services.swarm.projections.arrivals import FirstStores

#: A message and the mailbox it lies in.
Key = tuple[int, bytes]

_KEY: Final = struct.Struct(">q")
_INTO: Final = "message (mailbox, namespace, rank, hash, timestamp_ms, expiry_ms, sequence, period, sealed, id)"
_ENTRY: Final = "entry (mailbox, kind, key, message)"
_FIND: Final = (
    "WITH wanted(mailbox, key) AS (VALUES {}) "
    "SELECT m.mailbox, m.hash, m.id, m.namespace, m.rank, m.expiry_ms, m.sequence, length(m.sealed) FROM wanted AS w "
    "CROSS JOIN entry AS e ON e.mailbox = w.mailbox AND e.kind = 1 AND e.key = w.key "
    "CROSS JOIN message AS m ON m.id = e.message"
)
_ANY: Final = (
    "WITH wanted(mailbox, key) AS (VALUES {}) SELECT e.message FROM wanted AS w "
    "CROSS JOIN entry AS e ON e.mailbox = w.mailbox AND e.kind = 1 AND e.key = w.key LIMIT 1"
)


class Known(NamedTuple):
    """A message's row, without its body."""

    mailbox: int
    hash: bytes
    id: int
    namespace: int
    rank: int
    expiry_ms: int
    #: 0 if the log must get a copy again.
    sequence: int
    sealed_bytes: int


#: The values of a ``Row``, as plain as they are quickest made.
RowValues = tuple[int, int, int, bytes, int, int, int, int, bytes]


class Row(NamedTuple):
    """A message's row to be inserted."""

    mailbox: int
    namespace: int
    rank: int
    hash: bytes
    timestamp_ms: int
    expiry_ms: int
    sequence: int
    period: int
    sealed: bytes


def hash_key(message_hash: bytes) -> int:
    """Return the first eight bytes of a hash as SQLite's kind of integer; what it finds is compared in full."""
    key: int = _KEY.unpack_from(message_hash)[0]
    return key


class Messages:
    """The messages' tables, within one transaction of the caller.

    Args:
        connection: in a transaction.
        usage: counts what changes.
        last_id: number of the newest message.

    Attributes:
        overwritten: whether bytes of messages were overwritten.
        last_id: number of the newest message.
    """

    def __init__(self, connection: sqlite3.Connection, usage: Usage, last_id: int) -> None:
        self.overwritten = False
        self.last_id = last_id
        self._connection = connection
        self._usage = usage

    def find(self, keys: Iterable[Key]) -> dict[Key, Known]:
        """Return those messages that are there, whether they live or not."""
        wanted = dict.fromkeys(keys)
        places = [(mailbox, hash_key(message_hash)) for mailbox, message_hash in wanted]
        found = map(Known._make, select_pairs(self._connection, _FIND, places))
        return {key: row for row in found if (key := (row.mailbox, row.hash)) in wanted}

    def insert_first_stores(self, mailboxes: Sequence[int], stores: FirstStores) -> bool:
        """Insert messages in columns, in the mailboxes with these numbers; false, and nothing done, if one is known."""
        keys = [_KEY.unpack_from(message_hash)[0] for message_hash in stores.hashes]
        places = list(zip(mailboxes, keys, strict=True))
        if len(set(places)) < len(places) or any(select_pairs(self._connection, _ANY, places)):
            return False
        ids = range(self.last_id + 1, self.last_id + 1 + len(places))
        self.last_id += len(places)
        ranks = stores.sequences
        columns = (mailboxes, stores.namespaces, ranks, stores.hashes, stores.timestamps_ms, stores.expiries_ms)
        values = zip(*columns, stores.sequences, stores.periods, stores.sealed, ids, strict=True)
        insert_flat(self._connection, _INTO, 10, list(chain.from_iterable(values)))
        kinds = [ORDER + namespace for namespace in stores.namespaces]
        by_hash = (mailboxes, repeat(HASH), keys, ids)
        entries = zip(*by_hash, mailboxes, kinds, ranks, ids, strict=False)
        insert_flat(self._connection, _ENTRY, 4, list(chain.from_iterable(entries)))
        for mailbox, namespace, size, sequence in zip(
            mailboxes, stores.namespaces, stores.sizes, stores.sequences, strict=True
        ):
            self._usage.add(mailbox, namespace, 1, size, sequence)
        return True

    def insert(self, rows: Sequence[RowValues]) -> None:
        """Insert new messages, in order of their events; the counters are the caller's."""
        number = self.last_id
        values: list[Any] = []
        entries: list[int] = []
        for row in rows:
            number += 1
            values += row
            values.append(number)
            mailbox, namespace, rank, message_hash = row[:4]
            entries += (mailbox, HASH, hash_key(message_hash), number, mailbox, ORDER + namespace, rank, number)
        self.last_id = number
        insert_flat(self._connection, _INTO, 10, values)
        insert_flat(self._connection, _ENTRY, 4, entries)

    def insert_one(self, row: Row, copies: Iterable[int], *, settled: bool) -> None:
        """Insert a message that has other copies in the log, or is not settled; the counters are the caller's.

        Args:
            row: the message.
            copies: sequences of other copies.
            settled: a replay that meets this copy first gives this very row, order key included.
        """
        self.insert([row if settled else row._replace(sequence=0)])
        self._add_copies(self.last_id, {*copies} if settled else {*copies, row.sequence})

    def copies(self, known: Known) -> list[int]:
        """Return the log sequences that hold a copy, ascending."""
        query = "SELECT sequence FROM copy WHERE message = ?"
        others = {row[0] for row in self._connection.execute(query, (known.id,))}
        return sorted(others | {known.sequence} - {0})

    def name(self, known: Known, row: Row) -> None:
        """Take over order key and timestamp of a later store that is right about them."""
        self._connection.execute(
            "UPDATE message SET rank = ?, timestamp_ms = ? WHERE id = ?", (row.rank, row.timestamp_ms, known.id)
        )
        if row.rank != known.rank:
            self._drop_entry(known.mailbox, ORDER + known.namespace, known.rank, known.id)
            insert_flat(self._connection, _ENTRY, 4, [known.mailbox, ORDER + known.namespace, row.rank, known.id])

    def add_copy(self, known: Known, sequence: int, gone: Sequence[int]) -> None:
        """Note a further copy in the log, and that older ones go."""
        self._add_copies(known.id, {sequence})
        self._drop_copies(known, gone)

    def replace(self, known: Known, row: Row, gone: Sequence[int], *, settled: bool) -> None:
        """Take over body and expiry of a later store.

        Args:
            known: the row there is.
            row: the later store.
            gone: older copies that go from the log.
            settled: as in ``insert_one``.
        """
        self._connection.execute(
            "UPDATE message SET expiry_ms = ?, sequence = ?, period = ?, sealed = ? WHERE id = ?",
            (row.expiry_ms, row.sequence if settled else 0, row.period, row.sealed, known.id),
        )
        self._usage.add(known.mailbox, known.namespace, 0, len(row.sealed) - known.sealed_bytes)
        self._add_copies(known.id, {known.sequence} if settled else {known.sequence, row.sequence})
        self._drop_copies(known, gone)
        self.overwritten = True

    def shorten(self, known: Known, expiry_ms: int) -> None:
        """Move the expiry of a message earlier."""
        self._connection.execute("UPDATE message SET expiry_ms = ? WHERE id = ?", (expiry_ms, known.id))

    def remove(self, known: Known) -> None:
        """Remove a message; its bytes are overwritten."""
        self._connection.execute("DELETE FROM message WHERE id = ?", (known.id,))
        self._connection.execute("DELETE FROM copy WHERE message = ?", (known.id,))
        self._drop_entry(known.mailbox, HASH, hash_key(known.hash), known.id)
        self._drop_entry(known.mailbox, ORDER + known.namespace, known.rank, known.id)
        self._usage.add(known.mailbox, known.namespace, -1, SEAL_BYTES - known.sealed_bytes)
        self.overwritten = True

    def highest_rank(self, mailbox: int, namespace: int) -> int:
        """Return the largest order key of a namespace, 0 if it is empty."""
        query = "SELECT max(key) FROM entry WHERE mailbox = ? AND kind = ?"
        return self._connection.execute(query, (mailbox, ORDER + namespace)).fetchone()[0] or 0

    def _drop_entry(self, mailbox: int, kind: int, key: int, message: int) -> None:
        query = "DELETE FROM entry WHERE mailbox = ? AND kind = ? AND key = ? AND message = ?"
        self._connection.execute(query, (mailbox, kind, key, message))

    def _add_copies(self, message: int, sequences: Iterable[int]) -> None:
        for sequence in sequences:
            if sequence:
                self._connection.execute("INSERT OR IGNORE INTO copy VALUES (?, ?)", (message, sequence))

    def _drop_copies(self, known: Known, sequences: Sequence[int]) -> None:
        for sequence in sequences:
            query = "DELETE FROM copy WHERE message = ? AND sequence = ?"
            self._connection.execute(query, (known.id, sequence))
        if known.sequence in sequences:
            # The body here is that of a copy that goes; another one gives the same row.
            query = (
                "UPDATE message SET sequence = coalesce((SELECT max(sequence) FROM copy WHERE message = id), 0) "
                "WHERE id = ? AND sequence = ?"
            )
            self._connection.execute(query, (known.id, known.sequence))
            query = "DELETE FROM copy WHERE message = ? AND sequence = (SELECT sequence FROM message WHERE id = ?)"
            self._connection.execute(query, (known.id, known.id))
