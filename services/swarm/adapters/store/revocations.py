"""Rows of revoked subaccount tokens, by the rules of ``domain.evolve``."""

from __future__ import annotations

import sqlite3

from services.swarm.domain.events import Revoked, Unrevoked
from services.swarm.domain.evolve import Mailbox, evolve


def revoked_tokens(connection: sqlite3.Connection, tag: bytes) -> tuple[bytes, ...]:
    """Return a mailbox's revoked tokens, oldest first."""
    query = "SELECT token FROM revocation WHERE tag = ? ORDER BY number"
    return tuple(row[0] for row in connection.execute(query, (tag,)))


def revoke(connection: sqlite3.Connection, tag: bytes, event: Revoked | Unrevoked) -> int:
    """Fold a revocation or its end; return how many revocations were taken back."""
    before = Mailbox(revoked=revoked_tokens(connection, tag))
    after, changes = evolve(before, event, sequence=0, time_ms=0)
    connection.execute("DELETE FROM revocation WHERE tag = ?", (tag,))
    rows = [(tag, number, token) for number, token in enumerate(after.revoked)]
    connection.executemany("INSERT INTO revocation VALUES (?, ?, ?)", rows)
    return changes.unrevoked
