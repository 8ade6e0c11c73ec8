"""Removing what has expired, a slice at a time."""

from __future__ import annotations

import sqlite3
from typing import Final

from services.swarm.adapters.store.messages import Known, Messages
from services.swarm.adapters.store.usage import Usage

#: Most rows removed in one transaction: a few milliseconds of the writer's time.
SLICE: Final = 256


def sweep(connection: sqlite3.Connection, until_ms: int) -> int:
    """Remove messages that expired, and events that no log needs any more, by ``until_ms``; at most ``SLICE`` of each.

    Returns:
        How many messages were removed; ``SLICE`` means that there may be more.
    """
    query = (
        "SELECT mailbox, hash, id, namespace, rank, expiry_ms, sequence, length(sealed) FROM message "
        "WHERE expiry_ms <= ? ORDER BY expiry_ms LIMIT ?"
    )
    expired = [Known._make(row) for row in connection.execute(query, (until_ms, SLICE)).fetchall()]
    usage = Usage()
    messages = Messages(connection, usage, 0)
    for known in expired:
        messages.remove(known)
    usage.write(connection)
    connection.execute(
        "DELETE FROM change WHERE id IN (SELECT id FROM change WHERE needed_until_ms <= ? LIMIT ?)", (until_ms, SLICE)
    )
    return len(expired)
