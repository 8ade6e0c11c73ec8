"""Taking up shards and giving shards up."""

from __future__ import annotations

import sqlite3
from typing import Final

from services.swarm.adapters.store.progress import Progress, load_progress, save_progress
from services.swarm.adapters.store.sql import select_in

#: Mailboxes emptied in one transaction.
_SLICE: Final = 64
_EMPTY: Final = (
    "DELETE FROM copy WHERE message IN (SELECT message FROM entry WHERE mailbox IN ({}) AND kind = 1)",
    "DELETE FROM message WHERE id IN (SELECT message FROM entry WHERE mailbox IN ({}) AND kind = 1)",
    "DELETE FROM entry WHERE mailbox IN ({})",
    "DELETE FROM change WHERE mailbox IN ({})",
    "DELETE FROM revocation WHERE mailbox IN ({})",
    "DELETE FROM mailbox WHERE id IN ({})",
)


def follow_shards(connection: sqlite3.Connection, shards: frozenset[int], incarnation: str) -> int | None:
    """Hold exactly these shards: give up some mailboxes of others, or when none is left take up new ones.

    Returns:
        The position behind which the log must be followed; ``None`` if there is more to give up.
    """
    held = load_progress(connection)
    kept = [g for g in held if g.shards & shards]
    for group in kept:
        group.shards &= shards
    save_progress(connection, kept)
    placeholders = ",".join("?" * len(shards))
    query = f"SELECT id FROM mailbox WHERE shard NOT IN ({placeholders}) LIMIT {_SLICE}"  # noqa: S608 - constants
    others = [row[0] for row in connection.execute(query, tuple(shards))]
    for statement in _EMPTY:
        for _ in select_in(connection, statement, others):
            pass
    if len(others) == _SLICE:
        return None
    gained = shards - frozenset().union(*(g.shards for g in kept))
    if gained:
        kept.append(Progress(1 + max((g.number for g in held), default=0), gained, incarnation))
        save_progress(connection, kept)
    return min((g.position for g in kept), default=0)
