"""Rows of the body keys that this node knows, in the order in which it learnt them."""

from __future__ import annotations

import sqlite3


def kept_keys(connection: sqlite3.Connection) -> list[tuple[int, bytes]]:
    """Return periods and their keys."""
    return connection.execute("SELECT period, key FROM body_key ORDER BY number").fetchall()


def keep_key(connection: sqlite3.Connection, period: int, key: bytes) -> None:
    """Keep a key; one that is known becomes the newest of its period."""
    connection.execute("DELETE FROM body_key WHERE period = ? AND key = ?", (period, key))
    connection.execute("INSERT INTO body_key (period, key) VALUES (?, ?)", (period, key))


def drop_keys(connection: sqlite3.Connection, before_period: int) -> int:
    """Overwrite the keys of earlier periods; return how many there were."""
    return connection.execute("DELETE FROM body_key WHERE period < ?", (before_period,)).rowcount
