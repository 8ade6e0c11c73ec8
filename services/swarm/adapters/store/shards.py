"""Taking up shards and giving shards up."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

from services.swarm.adapters.store.progress import Progress, load_progress, save_progress
from services.swarm.adapters.store.schema import HASH
from services.swarm.adapters.store.sql import prefix

#: Mailboxes emptied in one transaction.
_SLICE: Final = 64
_MESSAGES: Final = (
    "SELECT m.id FROM entry AS e JOIN message AS m ON m.id = e.message WHERE e.mailbox = ? AND e.kind = ? AND m.tag = ?"
)
_DROP_ENTRIES: Final = (
    "DELETE FROM entry WHERE mailbox = ? AND EXISTS (SELECT 1 FROM message WHERE id = entry.message AND tag = ?)"
)


def follow_shards(
    connection: sqlite3.Connection, followed: Mapping[str, frozenset[int]], incarnation: str
) -> dict[str, int] | None:
    """Hold exactly these shards: give up some mailboxes of others, or when none is left take up new ones.

    Args:
        connection: in a transaction.
        followed: by follower, disjoint.
        incarnation: of the log that new shards will be folded from.

    Returns:
        The position behind which each follower must read; ``None`` if there is more to give up.
    """
    held = load_progress(connection)
    groups: list[Progress] = []
    for follower, shards in followed.items():
        kept = [(group, group.shards & shards) for group in held if group.shards & shards]
        groups += [_moved(group, follower, part, len(groups) + n) for n, (group, part) in enumerate(kept)]
        gained = shards - frozenset().union(*(part for _, part in kept))
        if gained:
            groups.append(Progress(len(groups), follower, gained, incarnation=incarnation))
    wanted = tuple(frozenset().union(*followed.values()))
    placeholders = ",".join("?" * len(wanted))
    query = f"SELECT DISTINCT tag FROM counter WHERE shard NOT IN ({placeholders}) LIMIT {_SLICE}"  # noqa: S608 - numbers only
    others = [row[0] for row in connection.execute(query, wanted)]
    for tag in others:
        _empty(connection, tag)
    if len(others) == _SLICE:
        # What is given up must never be taken for whole again, should this stop half-way.
        save_progress(connection, [group for group in groups if group.position])
        return None
    save_progress(connection, groups)
    return {name: min((g.position for g in groups if g.follower == name), default=0) for name in followed}


def _empty(connection: sqlite3.Connection, tag: bytes) -> None:
    """Forget a mailbox."""
    mailbox = prefix(tag)
    messages = connection.execute(_MESSAGES, (mailbox, HASH, tag)).fetchall()
    connection.execute(_DROP_ENTRIES, (mailbox, tag))
    connection.executemany("DELETE FROM copy WHERE message = ?", messages)
    connection.executemany("DELETE FROM message WHERE id = ?", messages)
    for table in ("change", "revocation", "counter"):
        connection.execute(f"DELETE FROM {table} WHERE tag = ?", (tag,))  # noqa: S608 - three names


def _moved(group: Progress, follower: str, shards: frozenset[int], number: int) -> Progress:
    return Progress(
        number,
        follower,
        shards,
        incarnation=group.incarnation,
        position=group.position,
        highest_rank=group.highest_rank,
        anchors=group.anchors,
    )
