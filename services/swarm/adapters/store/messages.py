"""Rows of messages: found by hash, inserted in bulk, merged with a later store, removed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from typing import Any, Final, NamedTuple

from services.swarm.adapters.event_codec import SEAL_BYTES
from services.swarm.adapters.store.expiries import Expiries
from services.swarm.adapters.store.recent import Recent, RecentMessages, insert_entries
from services.swarm.adapters.store.schema import HASH, ORDER
from services.swarm.adapters.store.sql import insert_flat, prefix, select_pairs
from services.swarm.adapters.store.usage import Scope, Usage
from services.swarm.projections.arrivals import FirstStores

#: A message's hash behind the tag of its mailbox.
Key = tuple[bytes, bytes]

#: Columns of ``Known``.
KNOWN: Final = "m.tag, m.shard, m.hash, m.id, m.namespace, m.rank, m.expiry_ms, m.sequence, length(m.sealed)"
_INTO: Final = "message (tag, shard, namespace, rank, hash, timestamp_ms, expiry_ms, sequence, period, sealed, id)"
_FIND: Final = (
    f"WITH wanted(mailbox, key) AS (VALUES {{}}) SELECT {KNOWN} FROM wanted AS w "  # noqa: S608 - a constant
    "CROSS JOIN entry AS e ON e.mailbox = w.mailbox AND e.kind = 1 AND e.key = w.key "
    "CROSS JOIN message AS m ON m.id = e.message"
)
_ANY: Final = (
    "WITH wanted(mailbox, key) AS (VALUES {}) SELECT e.message FROM wanted AS w "
    "CROSS JOIN entry AS e ON e.mailbox = w.mailbox AND e.kind = 1 AND e.key = w.key LIMIT 1"
)


class Known(NamedTuple):
    """A message's row, without its body."""

    tag: bytes
    shard: int
    hash: bytes
    id: int
    namespace: int
    rank: int
    expiry_ms: int
    #: 0 if the log must get a copy again.
    sequence: int
    sealed_bytes: int

    @property
    def scope(self) -> Scope:
        """What it counts for."""
        return self.tag, self.namespace, self.shard


#: The values of a ``Row``, as plain as they are quickest made.
RowValues = tuple[bytes, int, int, int, bytes, int, int, int, int, bytes]


class Row(NamedTuple):
    """A message's row to be inserted."""

    tag: bytes
    shard: int
    namespace: int
    rank: int
    hash: bytes
    timestamp_ms: int
    expiry_ms: int
    sequence: int
    period: int
    sealed: bytes

    @property
    def scope(self) -> Scope:
        """What it counts for."""
        return self.tag, self.namespace, self.shard


class Messages:
    """The messages' tables, within one transaction of the caller.

    Args:
        connection: in a transaction.
        usage: counts what changes, but for recent messages.
        recent: those not indexed yet.
        expiries: notes when they expire.
        last_id: number of the newest message.

    Attributes:
        overwritten: whether bytes of messages were overwritten.
        last_id: number of the newest message.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        usage: Usage,
        recent: RecentMessages,
        expiries: Expiries,
        *,
        last_id: int = 0,
    ) -> None:
        self.overwritten = False
        self.last_id = last_id
        self._connection = connection
        self._usage = usage
        self._recent = recent
        self._expiries = expiries

    def find(self, keys: Iterable[Key]) -> dict[Key, Known]:
        """Return those messages that are there, whether they live or not; they are indexed from now on."""
        wanted = dict.fromkeys(keys)
        recent = self._recent.of
        met: set[bytes] = set()
        places: list[tuple[int, int]] = []
        for tag, message_hash in wanted:
            key = prefix(message_hash)
            if (messages := recent(tag)) and any(message.key == key for message in messages):
                met.add(tag)
            places.append((prefix(tag), key))
        if met:
            self._recent.index(self._connection, met)
        found: dict[Key, Known] = {}
        for row in select_pairs(self._connection, _FIND, places):
            known = Known._make(row)
            if (known.tag, known.hash) in wanted:
                found[known.tag, known.hash] = known
        return found

    def insert_first_stores(self, stores: FirstStores) -> bool:
        """Insert messages in columns; false, and nothing done, if one is known."""
        self._recent.index_all(self._connection)
        mailboxes = list(map(prefix, stores.tags))
        keys = list(map(prefix, stores.hashes))
        places = list(zip(mailboxes, keys, strict=True))
        if len(set(places)) < len(places) or any(select_pairs(self._connection, _ANY, places)):
            return False
        ids = range(self.last_id + 1, self.last_id + 1 + len(places))
        ranks = stores.sequences
        columns = (stores.tags, stores.shards, stores.namespaces, ranks, stores.hashes, stores.timestamps_ms)
        values = zip(*columns, stores.expiries_ms, ranks, stores.periods, stores.sealed, ids, strict=True)
        insert_flat(self._connection, _INTO, 11, list(chain.from_iterable(values)))
        kinds = [ORDER + namespace for namespace in stores.namespaces]
        by_hash = zip(mailboxes, repeat(HASH), keys, ids)
        insert_entries(self._connection, [*by_hash, *zip(mailboxes, kinds, ranks, ids, strict=True)])
        self._expiries.note(self._connection, zip(stores.expiries_ms, ids, strict=True))
        self.last_id += len(places)
        add = self._usage.add
        scopes = zip(stores.tags, stores.namespaces, stores.shards, strict=True)
        for scope, size, rank, number in zip(scopes, stores.sizes, ranks, ids, strict=True):
            add(scope, 1, size, rank, number)
        return True

    def insert(self, rows: Sequence[RowValues]) -> None:
        """Insert first stores of new messages, in order of their events; they are counted when they are indexed."""
        values: list[Any] = []
        for number, row in enumerate(rows, self.last_id + 1):
            values += row
            values.append(number)
        insert_flat(self._connection, _INTO, 11, values)
        expiries: list[tuple[int, int]] = []
        add = self._recent.add
        for number, row in enumerate(rows, self.last_id + 1):
            tag, shard, namespace, rank, message_hash, _, expiry_ms, _, _, sealed = row
            add(tag, Recent(number, shard, namespace, rank, prefix(message_hash), len(sealed) - SEAL_BYTES))
            expiries.append((expiry_ms, number))
        self.last_id += len(rows)
        self._expiries.note(self._connection, expiries)

    def insert_one(self, row: Row, copies: Iterable[int], *, settled: bool) -> None:
        """Insert and count a message that has other copies in the log, a named order key, or is not settled.

        Args:
            row: the message.
            copies: sequences of other copies.
            settled: a replay that meets this copy first gives this very row, order key included.
        """
        self._recent.index(self._connection, [row.tag])
        self.last_id = number = self.last_id + 1
        insert_flat(self._connection, _INTO, 11, [*(row if settled else row._replace(sequence=0)), number])
        mailbox = prefix(row.tag)
        by_order = (mailbox, ORDER + row.namespace, row.rank, number)
        insert_entries(self._connection, [(mailbox, HASH, prefix(row.hash), number), by_order])
        self._expiries.note(self._connection, [(row.expiry_ms, number)])
        self._usage.add(row.scope, 1, len(row.sealed) - SEAL_BYTES, row.sequence, number)
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
            self._drop_entry(known, ORDER + known.namespace, known.rank)
            insert_entries(self._connection, [(prefix(known.tag), ORDER + known.namespace, row.rank, known.id)])

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
        self._expiries.note(self._connection, [(row.expiry_ms, known.id)])
        self._usage.add(known.scope, 0, len(row.sealed) - known.sealed_bytes)
        self._add_copies(known.id, {known.sequence} if settled else {known.sequence, row.sequence})
        self._drop_copies(known, gone)
        self.overwritten = True

    def shorten(self, known: Known, expiry_ms: int) -> None:
        """Move the expiry of a message earlier."""
        self._connection.execute("UPDATE message SET expiry_ms = ? WHERE id = ?", (expiry_ms, known.id))
        self._expiries.note(self._connection, [(expiry_ms, known.id)])

    def remove(self, known: Known) -> None:
        """Remove a message; its bytes are overwritten."""
        self._connection.execute("DELETE FROM message WHERE id = ?", (known.id,))
        self._connection.execute("DELETE FROM copy WHERE message = ?", (known.id,))
        self._drop_entry(known, HASH, prefix(known.hash))
        self._drop_entry(known, ORDER + known.namespace, known.rank)
        self._usage.add(known.scope, -1, SEAL_BYTES - known.sealed_bytes)
        self.overwritten = True

    def highest_rank(self, tag: bytes, namespace: int) -> int:
        """Return the largest order key of a namespace (or a larger one), 0 if it is empty."""
        self._recent.index(self._connection, [tag])
        query = "SELECT max(key) FROM entry WHERE mailbox = ? AND kind = ?"
        return self._connection.execute(query, (prefix(tag), ORDER + namespace)).fetchone()[0] or 0

    def _drop_entry(self, known: Known, kind: int, key: int) -> None:
        query = "DELETE FROM entry WHERE mailbox = ? AND kind = ? AND key = ? AND message = ?"
        self._connection.execute(query, (prefix(known.tag), kind, key, known.id))

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
