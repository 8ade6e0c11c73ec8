"""When the log has lost its end: what the store knows beyond it is marked, to be appended again."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from services.swarm.adapters.store.progress import load_progress, save_progress


class LostChange(NamedTuple):
    """An event that is no store and that the log lacks."""

    id: int
    shard: int
    tag: bytes
    event_id: bytes
    payload: bytes
    #: Milliseconds since 1970; ``None`` is for ever.
    needed_until_ms: int | None


class LostMessage(NamedTuple):
    """A living message of which the log lacks a copy that gives this very row."""

    id: int
    shard: int
    tag: bytes
    namespace: int
    rank: int
    hash: bytes
    timestamp_ms: int
    expiry_ms: int
    size: int


def rewind(connection: sqlite3.Connection, agreed: int, incarnation: str) -> None:
    """Begin anew behind a sequence: all that came later is lost to the log, until it is folded again."""
    groups = load_progress(connection)
    for group in groups:
        group.position = min(group.position, agreed)
        group.anchors = [anchor for anchor in group.anchors if anchor.sequence <= agreed]
        group.incarnation = incarnation
    save_progress(connection, groups)
    for statement in (
        "UPDATE message SET sequence = 0 WHERE sequence > ?",
        "DELETE FROM copy WHERE sequence > ?",
        "UPDATE change SET sequence = 0 WHERE sequence > ?",
        "UPDATE counter SET sequence = 0 WHERE sequence > ?",
    ):
        connection.execute(statement, (agreed,))


def lost_changes(connection: sqlite3.Connection, now_ms: int, limit: int) -> Sequence[LostChange]:
    """Return events that the log lacks and still needs, in the order in which they happened."""
    query = (
        "SELECT id, shard, tag, event, payload, needed_until_ms FROM change "
        "WHERE sequence = 0 AND coalesce(needed_until_ms > ?, 1) ORDER BY id LIMIT ?"
    )
    return [LostChange._make(row) for row in connection.execute(query, (now_ms, limit))]


def lost_messages(connection: sqlite3.Connection, now_ms: int, overhead: int, limit: int) -> Sequence[LostMessage]:
    """Return living messages that the log lacks, by order key; ``overhead`` is what sealing adds to a body."""
    query = (
        "SELECT id, shard, tag, namespace, rank, hash, timestamp_ms, expiry_ms, length(sealed) - ? FROM message "
        "WHERE sequence = 0 AND expiry_ms > ? ORDER BY rank LIMIT ?"
    )
    return [LostMessage._make(row) for row in connection.execute(query, (overhead, now_ms, limit))]


def is_lost(connection: sqlite3.Connection, lost: LostChange | LostMessage) -> bool:
    """Tell whether the log still lacks it, as far as the store has followed."""
    table = "change" if isinstance(lost, LostChange) else "message"
    query = f"SELECT 1 FROM {table} WHERE id = ? AND sequence = 0"  # noqa: S608 - one of two names
    return connection.execute(query, (lost.id,)).fetchone() is not None
