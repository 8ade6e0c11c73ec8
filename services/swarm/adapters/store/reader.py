"""Reading a store on a connection of its own, beside the writer: views for decisions, pages for clients.

A small read takes some ten microseconds, less than handing it to another thread would: the event loop makes it.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple, Self

from naisho.protocol.namespaces import HIGHEST, LOWEST, classify
from services.swarm.adapters.event_codec import SEAL_BYTES
from services.swarm.adapters.store.recent import Recent
from services.swarm.adapters.store.revocations import revoked_tokens
from services.swarm.adapters.store.rewind import LostChange, LostMessage, is_lost, lost_changes, lost_messages
from services.swarm.adapters.store.schema import ORDER
from services.swarm.adapters.store.sql import prefix, select_pairs
from services.swarm.domain.commands import ALL, Namespaces
from services.swarm.domain.ports import MessageRecord
from services.swarm.domain.retrieve_request import message_cost

_RECORD: Final = (
    "SELECT m.hash, m.namespace, m.timestamp_ms, m.expiry_ms, m.rank, m.sequence, length(m.sealed), "
    "(SELECT group_concat(sequence) FROM copy WHERE message = m.id), m.tag "
)
_FIND: Final = (
    "WITH wanted(mailbox, key) AS (VALUES {}) " + _RECORD + "FROM wanted AS w "
    "CROSS JOIN entry AS e ON e.mailbox = w.mailbox AND e.kind = 1 AND e.key = w.key "
    "CROSS JOIN message AS m ON m.id = e.message"
)
_RECENT: Final = _RECORD + "FROM message AS m WHERE m.id = ?"
_LIST: Final = (
    _RECORD + "FROM entry AS e CROSS JOIN message AS m ON m.id = e.message "
    "WHERE e.mailbox = ? AND e.kind BETWEEN ? AND ? AND m.tag = ?"
)
_MESSAGE: Final = "SELECT m.rank, m.hash, m.timestamp_ms, m.expiry_ms, m.period, m.sealed "
_RECENT_MESSAGE: Final = _MESSAGE + "FROM message AS m WHERE m.id = ? AND m.expiry_ms > ?"
_PAGE: Final = (
    _MESSAGE + "FROM entry AS e CROSS JOIN message AS m ON m.id = e.message "
    "WHERE e.mailbox = ? AND e.kind = ? AND e.key >= ? AND m.tag = ? AND m.expiry_ms > ? ORDER BY e.key"
)
_BODY: Final = "SELECT m.namespace, m.rank, m.expiry_ms, m.period, m.sealed "
_RECENT_ONE: Final = _BODY + "FROM message AS m WHERE m.id = ? AND m.tag = ? AND m.hash = ?"
_ONE: Final = (
    _BODY + "FROM entry AS e CROSS JOIN message AS m ON m.id = e.message "
    "WHERE e.mailbox = ? AND e.kind = 1 AND e.key = ? AND m.tag = ? AND m.hash = ?"
)
_USAGE: Final = (
    "SELECT tag, namespace, bytes FROM counter WHERE (tag, namespace) > (?, ?) ORDER BY tag, namespace LIMIT ?"
)

#: Counters of a namespace that there is none of.
_NOTHING: Final = (0, 0, 0, 0)


class StoredMessage(NamedTuple):
    """One living message with its sealed body."""

    rank: int
    hash: bytes
    timestamp_ms: int
    expiry_ms: int
    period: int
    sealed: bytes


class SealedPage(NamedTuple):
    """Some messages in order, and whether a limit stopped the listing."""

    messages: Sequence[StoredMessage]
    more: bool


class Reader:
    """Reads what the writer has committed.

    Args:
        connection: a reading connection without automatic transactions, for this object alone.
        recent: see ``RecentMessages.committed``.
    """

    def __init__(self, connection: sqlite3.Connection, recent: Mapping[bytes, Sequence[Recent]]) -> None:
        self._connection = connection
        self._recent = recent

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def change_to(self, connection: sqlite3.Connection) -> None:
        """Read on another connection from now on; the one before is closed."""
        self._connection.close()
        self._connection = connection

    def usage_behind(self, tag: bytes, namespace: int, most: int) -> list[tuple[bytes, int, int]]:
        """Return the next mailboxes' tags, namespaces and bytes of bodies, in their order; see `recent_bytes`."""
        return self._connection.execute(_USAGE, (tag, namespace, most)).fetchall()

    def recent_bytes(self) -> int:
        """Return the bytes of the bodies of messages that are not in the mailboxes' counters yet."""
        return sum(recent.size for messages in self._recent.values() for recent in messages)

    def view(self, tag: bytes, now_ms: int) -> StoreView:
        """Look at one mailbox at one moment, in a ``with`` that awaits nothing; what is not looked at is free."""
        return StoreView(self._connection, tag, self._recent.get(tag, ()), now_ms)

    def page(
        self, tag: bytes, namespace: int, *, after: bytes | None, max_count: int | None, max_bytes: int, now_ms: int
    ) -> SealedPage:
        """List a namespace's living messages, by order, behind the one with hash ``after`` (wire 4.7).

        Args:
            tag: which mailbox.
            namespace: which namespace.
            after: hash of a message; if it is none of this namespace's living ones, list from the beginning.
            max_count: most messages.
            max_bytes: bound on the sum of ``message_cost``; one message is listed even if it exceeds it.
            now_ms: the moment that decides what lives.
        """
        recent = self._recent.get(tag, ())
        behind = (0, b"")
        found = None if after is None else self._one(tag, after)
        if after is not None and found is not None and found[0] == namespace and found[2] > now_ms:
            behind = (found[1], after)
        chosen: list[StoredMessage] = []
        room = max_bytes
        rows = self._connection.execute(_PAGE, (prefix(tag), ORDER + namespace, behind[0], tag, now_ms))
        newest = self._rows(_RECENT_MESSAGE, [(r.id, now_ms) for r in recent if r.namespace == namespace])
        for message in heapq.merge(_in_order(rows), _in_order(newest)):
            if message[:2] <= behind:
                continue
            behind = message[:2]  # one that was indexed meanwhile comes twice
            room -= message_cost(len(message.sealed) - SEAL_BYTES)
            if chosen and (room < 0 or len(chosen) == max_count):
                rows.close()
                return SealedPage(chosen, more=True)
            chosen.append(message)
        return SealedPage(chosen, more=False)

    def sealed(self, tag: bytes, message_hash: bytes) -> tuple[int, bytes] | None:
        """Return a message's period and sealed body, whether it lives or not."""
        found = self._one(tag, message_hash)
        return None if found is None else (found[3], found[4])

    def lost_changes(self, now_ms: int, limit: int) -> Sequence[LostChange]:
        """See ``rewind.lost_changes``."""
        return lost_changes(self._connection, now_ms, limit)

    def lost_messages(self, now_ms: int, limit: int) -> Sequence[LostMessage]:
        """See ``rewind.lost_messages``."""
        return lost_messages(self._connection, now_ms, SEAL_BYTES, limit)

    def is_lost(self, lost: LostChange | LostMessage) -> bool:
        """See ``rewind.is_lost``."""
        return is_lost(self._connection, lost)

    def _one(self, tag: bytes, message_hash: bytes) -> tuple[int, int, int, int, bytes] | None:
        """Return a message's namespace, order key, expiry, period and sealed body."""
        key = prefix(message_hash)
        recent = [(r.id, tag, message_hash) for r in self._recent.get(tag, ()) if r.key == key]
        row: tuple[int, int, int, int, bytes] | None
        row = self._connection.execute(_ONE, (prefix(tag), key, tag, message_hash)).fetchone()
        return row or next(iter(self._rows(_RECENT_ONE, recent)), None)

    def _rows(self, query: str, values: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Return what a query for single rows finds."""
        return [row for each in values for row in self._connection.execute(query, each)]


class StoreView:
    """``MailboxView`` on the tables, within the reader's transaction."""

    def __init__(self, connection: sqlite3.Connection, tag: bytes, recent: Sequence[Recent], now_ms: int) -> None:
        self.now_ms = now_ms
        self._unopened = connection
        self._tag = tag
        self._maybe_recent = recent

    @cached_property
    def _connection(self) -> sqlite3.Connection:
        """The connection, within a transaction: the moment that is looked at begins here."""
        self._unopened.execute("BEGIN")
        return self._unopened

    @cached_property
    def _counters(self) -> dict[int, tuple[int, int, int, int]]:
        """By namespace: messages, bytes, last sequence, and up to which message all are indexed."""
        if not self._is_known:
            return {}
        query = "SELECT namespace, messages, bytes, sequence, indexed FROM counter WHERE tag = ?"
        return {namespace: counted for namespace, *counted in self._connection.execute(query, (self._tag,))}

    @cached_property
    def _recent(self) -> Sequence[Recent]:
        """Messages that are not indexed yet."""
        if not self._maybe_recent:
            return ()
        return [r for r in self._maybe_recent if r.id > self._counters.get(r.namespace, _NOTHING)[3]]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if "_connection" in self.__dict__:
            self._unopened.execute("COMMIT")

    @cached_property
    def _is_known(self) -> bool:
        """Whether the store has heard of the mailbox: if not, there is nothing further to look at."""
        if self._maybe_recent or "_connection" in self.__dict__:
            return True
        return self._unopened.execute("SELECT 1 FROM counter WHERE tag = ?", (self._tag,)).fetchone() is not None

    @property
    def last_sequence(self) -> int:
        """See ``MailboxView``."""
        if not self._is_known:
            return 0
        counted = (sequence for _, _, sequence, _ in self._counters.values())
        return max(*counted, *(r.sequence for r in self._recent), 0, 0)

    def find(self, hashes: Iterable[bytes]) -> dict[bytes, MessageRecord]:
        """See ``MailboxView``."""
        if not self._is_known:
            return {}
        wanted = dict.fromkeys(hashes)
        mailbox = prefix(self._tag)
        keys = {prefix(h) for h in wanted}
        rows = chain(
            select_pairs(self._connection, _FIND, [(mailbox, key) for key in keys]),
            self._recent_rows(r for r in self._recent if r.key in keys),
        )
        found = {row[0]: _record(row) for row in rows if row[3] > self.now_ms and row[8] == self._tag}
        return {h: found[h] for h in wanted if h in found}

    def list(self, namespace: Namespaces) -> Sequence[MessageRecord]:
        """See ``MailboxView``."""
        first, last = (LOWEST, HIGHEST) if namespace == ALL else (namespace, namespace)
        values = (prefix(self._tag), ORDER + first, ORDER + last, self._tag)
        indexed = self._connection.execute(_LIST, values)
        rows = chain(indexed, self._recent_rows(r for r in self._recent if first <= r.namespace <= last))
        return sorted((_record(row) for row in rows if row[3] > self.now_ms), key=_order)

    def usage(self, namespace: int) -> tuple[int, int]:
        """See ``MailboxView``."""
        return self._usage({namespace})

    def account_usage(self, *, open_to_all: bool) -> tuple[int, int]:
        """See ``MailboxView``."""
        if not self._is_known:
            return 0, 0
        held = {*self._counters, *(r.namespace for r in self._recent)}
        return self._usage({n for n in held if classify(n).stores_unsigned == open_to_all})

    def revoked(self) -> Sequence[bytes]:
        """See ``MailboxView``."""
        return revoked_tokens(self._connection, self._tag)

    def _usage(self, namespaces: Collection[int]) -> tuple[int, int]:
        if not self._is_known:
            return 0, 0
        counted = [self._counters.get(namespace, _NOTHING) for namespace in namespaces]
        sizes = [r.size for r in self._recent if r.namespace in namespaces]
        return sum(each[0] for each in counted) + len(sizes), sum(each[1] for each in counted) + sum(sizes)

    def _recent_rows(self, recent: Iterable[Recent]) -> Iterator[tuple[Any, ...]]:
        for each in recent:
            yield from self._connection.execute(_RECENT, (each.id,))


def _in_order(rows: Iterable[tuple[Any, ...]]) -> Iterator[StoredMessage]:
    """Order rows that come by rank by hash as well: after a log was put back, two messages can share a rank."""
    for _, same in groupby(map(StoredMessage._make, rows), key=itemgetter(0)):
        yield from sorted(same, key=itemgetter(1))


def _record(row: tuple[Any, ...]) -> MessageRecord:
    copies = {int(number) for number in (row[7] or "").split(",") if number}
    sequences = tuple(sorted(copies | {row[5]} - {0}))
    return MessageRecord(row[0], row[1], row[2], row[3], row[4], sequences, row[6] - SEAL_BYTES)


def _order(record: MessageRecord) -> tuple[int, bytes]:
    return record.rank, record.message_hash
