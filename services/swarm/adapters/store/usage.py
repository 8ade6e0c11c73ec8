"""Counters of messages and bytes, per namespace and per half of the account, gathered and written once a batch."""

from __future__ import annotations

import sqlite3
from functools import lru_cache
from typing import Final

from naisho.protocol.namespaces import classify
from services.swarm.adapters.store.schema import COUNTERS, OPEN_SCOPE, OWNED_SCOPE
from services.swarm.adapters.store.sql import insert_flat

_ADD: Final = (
    "ON CONFLICT DO UPDATE SET messages = messages + excluded.messages, "
    "bytes = bytes + excluded.bytes, sequence = max(sequence, excluded.sequence)"
)


@lru_cache(maxsize=1024)
def half(namespace: int) -> int:
    """Return the scope of the account's half that a namespace counts for."""
    return OPEN_SCOPE if classify(namespace).stores_unsigned else OWNED_SCOPE


class Usage:
    """Differences to the counters, to be written in the transaction that they belong to."""

    def __init__(self) -> None:
        #: By mailbox and scope: messages, bytes, sequence of the last event (in the halves alone).
        self._changed: dict[tuple[int, int], tuple[int, int, int]] = {}

    def add(self, mailbox: int, namespace: int, messages: int, size: int, sequence: int = 0) -> None:
        """Count messages and bytes in (or out, if negative); ``sequence`` is that of the event, 0 if it was none."""
        changed = self._changed
        key = (mailbox, namespace)
        if (before := changed.get(key)) is None:
            changed[key] = (messages, size, 0)
        else:
            changed[key] = (before[0] + messages, before[1] + size, 0)
        key = (mailbox, half(namespace))
        if (before := changed.get(key)) is None:
            changed[key] = (messages, size, sequence)
        else:
            changed[key] = (before[0] + messages, before[1] + size, sequence or before[2])

    def touch(self, mailbox: int, sequence: int) -> None:
        """Note an event that counts nothing."""
        messages, size, _ = self._changed.get((mailbox, OWNED_SCOPE), (0, 0, 0))
        self._changed[mailbox, OWNED_SCOPE] = (messages, size, sequence)

    def write(self, connection: sqlite3.Connection) -> None:
        """Write the differences and begin anew."""
        if self._changed:
            values: list[int] = []
            for (mailbox, scope), counted in self._changed.items():
                values += (mailbox, COUNTERS, scope, 0, *counted)
            insert_flat(connection, "entry", 7, values, _ADD)
            self._changed.clear()
