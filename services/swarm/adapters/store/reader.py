"""Reading a store on a connection of its own, beside the writer: views for decisions, pages for clients.

A small read takes some ten microseconds, less than handing it to another thread would: the event loop makes it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple

from naisho.protocol.namespaces import HIGHEST, LOWEST
from services.swarm.adapters.event_codec import SEAL_BYTES
from services.swarm.adapters.store.messages import hash_key
from services.swarm.adapters.store.revocations import revoked_tokens
from services.swarm.adapters.store.rewind import LostChange, LostMessage, is_lost, lost_changes, lost_messages
from services.swarm.adapters.store.schema import COUNTERS, OPEN_SCOPE, ORDER, OWNED_SCOPE
from services.swarm.adapters.store.sql import select_pairs
from services.swarm.domain.commands import ALL, Namespaces
from services.swarm.domain.ports import MessageRecord
from services.swarm.domain.retrieve_request import message_cost

_MAILBOX: Final = "SELECT id FROM mailbox WHERE tag = ?"
_RECORD: Final = (
    "SELECT m.hash, m.namespace, m.timestamp_ms, m.expiry_ms, m.rank, m.sequence, length(m.sealed), "
    "(SELECT group_concat(sequence) FROM copy WHERE message = m.id) "
)
_FIND: Final = (
    "WITH wanted(mailbox, key) AS (VALUES {}) " + _RECORD + "FROM wanted AS w "
    "CROSS JOIN entry AS e ON e.mailbox = w.mailbox AND e.kind = 1 AND e.key = w.key "
    "CROSS JOIN message AS m ON m.id = e.message"
)
_LIST: Final = (
    _RECORD + "FROM entry AS e CROSS JOIN message AS m ON m.id = e.message "
    "WHERE e.mailbox = ? AND e.kind BETWEEN ? AND ?"
)
_PAGE: Final = (
    "SELECT m.rank, m.hash, m.timestamp_ms, m.expiry_ms, m.period, m.sealed "
    "FROM entry AS e CROSS JOIN message AS m ON m.id = e.message "
    "WHERE e.mailbox = ? AND e.kind = ? AND e.key >= ? AND m.expiry_ms > ? ORDER BY e.key"
)
_ONE: Final = (
    "SELECT m.namespace, m.rank, m.expiry_ms, m.period, m.sealed "
    "FROM entry AS e CROSS JOIN message AS m ON m.id = e.message "
    "WHERE e.mailbox = ? AND e.kind = 1 AND e.key = ? AND m.hash = ?"
)


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
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def change_to(self, connection: sqlite3.Connection) -> None:
        """Read on another connection from now on; the one before is closed."""
        self._connection.close()
        self._connection = connection

    @contextmanager
    def view(self, tag: bytes, now_ms: int) -> Iterator[StoreView]:
        """Look at one mailbox at one moment; nothing may be awaited within. What is not looked at costs nothing."""
        view = StoreView(self._connection, tag, now_ms)
        try:
            yield view
        finally:
            view.close()

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
        mailbox = self._mailbox(tag)
        behind = (0, b"")
        found = None if after is None else self._one(mailbox, after)
        if after is not None and found is not None and found[0] == namespace and found[2] > now_ms:
            behind = (found[1], after)
        chosen: list[StoredMessage] = []
        room = max_bytes
        rows = self._connection.execute(_PAGE, (mailbox, ORDER + namespace, behind[0], now_ms))
        for message in _in_order(rows):
            if (message.rank, message.hash) <= behind:
                continue
            room -= message_cost(len(message.sealed) - SEAL_BYTES)
            if chosen and (room < 0 or len(chosen) == max_count):
                rows.close()
                return SealedPage(chosen, more=True)
            chosen.append(message)
        return SealedPage(chosen, more=False)

    def sealed(self, tag: bytes, message_hash: bytes) -> tuple[int, bytes] | None:
        """Return a message's period and sealed body, whether it lives or not."""
        found = self._one(self._mailbox(tag), message_hash)
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

    def _mailbox(self, tag: bytes) -> int:
        row = self._connection.execute(_MAILBOX, (tag,)).fetchone()
        return 0 if row is None else row[0]

    def _one(self, mailbox: int, message_hash: bytes) -> tuple[int, int, int, int, bytes] | None:
        """Return a message's namespace, order key, expiry, period and sealed body."""
        values = (mailbox, hash_key(message_hash), message_hash)
        row: tuple[int, int, int, int, bytes] | None = self._connection.execute(_ONE, values).fetchone()
        return row


class StoreView:
    """``MailboxView`` on the tables, within the reader's transaction."""

    def __init__(self, connection: sqlite3.Connection, tag: bytes, now_ms: int) -> None:
        self.now_ms = now_ms
        self._unopened = connection
        self._tag = tag

    @cached_property
    def _connection(self) -> sqlite3.Connection:
        """The connection, within a transaction: the moment that is looked at begins here."""
        self._unopened.execute("BEGIN")
        return self._unopened

    @cached_property
    def _mailbox(self) -> int:
        """The mailbox's number; 0 if the store has heard nothing of it, and then there is nothing to look for."""
        row: tuple[int] | None = self._connection.execute(_MAILBOX, (self._tag,)).fetchone()
        return 0 if row is None else row[0]

    def close(self) -> None:
        """End the look."""
        if "_connection" in self.__dict__:
            self._unopened.execute("COMMIT")

    @property
    def last_sequence(self) -> int:
        """See ``MailboxView``."""
        if not self._mailbox:
            return 0
        query = "SELECT max(sequence) FROM entry WHERE mailbox = ? AND kind = ? AND key IN (?, ?)"
        row = self._connection.execute(query, (self._mailbox, COUNTERS, OPEN_SCOPE, OWNED_SCOPE)).fetchone()
        return row[0] or 0

    def find(self, hashes: Iterable[bytes]) -> dict[bytes, MessageRecord]:
        """See ``MailboxView``."""
        wanted = dict.fromkeys(hashes)
        if not wanted or not self._mailbox:
            return {}
        rows = select_pairs(self._connection, _FIND, [(self._mailbox, hash_key(h)) for h in wanted])
        found = {row[0]: _record(row) for row in rows if row[3] > self.now_ms}
        return {h: found[h] for h in wanted if h in found}

    def list(self, namespace: Namespaces) -> Sequence[MessageRecord]:
        """See ``MailboxView``."""
        first, last = (LOWEST, HIGHEST) if namespace == ALL else (namespace, namespace)
        rows = self._connection.execute(_LIST, (self._mailbox, ORDER + first, ORDER + last))
        return sorted((_record(row) for row in rows if row[3] > self.now_ms), key=_order)

    def usage(self, namespace: int) -> tuple[int, int]:
        """See ``MailboxView``."""
        return self._usage(namespace)

    def account_usage(self, *, open_to_all: bool) -> tuple[int, int]:
        """See ``MailboxView``."""
        return self._usage(OPEN_SCOPE if open_to_all else OWNED_SCOPE)

    def revoked(self) -> Sequence[bytes]:
        """See ``MailboxView``."""
        return revoked_tokens(self._connection, self._mailbox)

    def _usage(self, scope: int) -> tuple[int, int]:
        if not self._mailbox:
            return 0, 0
        query = "SELECT messages, bytes FROM entry WHERE mailbox = ? AND kind = ? AND key = ?"
        row: tuple[int, int] | None = self._connection.execute(query, (self._mailbox, COUNTERS, scope)).fetchone()
        return row or (0, 0)


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
