"""Counters of messages and bytes, per mailbox and namespace, gathered and written once a batch."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from services.swarm.adapters.store.sql import insert_flat

#: A namespace of a mailbox: its tag, the number, the mailbox's shard.
Scope = tuple[bytes, int, int]

_INTO: Final = "counter (tag, namespace, shard, messages, bytes, sequence, indexed)"
_ADD: Final = (
    "ON CONFLICT DO UPDATE SET messages = messages + excluded.messages, bytes = bytes + excluded.bytes, "
    "sequence = max(sequence, excluded.sequence), indexed = max(indexed, excluded.indexed)"
)


class Usage:
    """Differences to the counters, to be written in the transaction that they belong to."""

    def __init__(self) -> None:
        self._changed: dict[Scope, tuple[int, int, int, int]] = {}

    def add(self, scope: Scope, messages: int, size: int, sequence: int = 0, indexed: int = 0) -> None:
        """Count messages and bytes in, or out if negative.

        Args:
            scope: where.
            messages: how many.
            size: bytes of their bodies, unsealed.
            sequence: that of the event, 0 if it was none.
            indexed: number of a message that has its entries now.
        """
        before = self._changed.get(scope)
        if before is not None:
            messages += before[0]
            size += before[1]
            sequence = max(sequence, before[2])
            indexed = max(indexed, before[3])
        self._changed[scope] = (messages, size, sequence, indexed)

    def write(self, connection: sqlite3.Connection) -> None:
        """Write the differences and begin anew."""
        if not self._changed:
            return
        values: list[Any] = []
        for scope, counted in sorted(self._changed.items()):
            values += scope
            values += counted
        insert_flat(connection, _INTO, 7, values, _ADD)
        self._changed.clear()
