"""Removing what has expired, a slice at a time."""

from __future__ import annotations

import sqlite3
from typing import Final

from services.swarm.adapters.store.expiries import Expiries
from services.swarm.adapters.store.messages import KNOWN, Known, Messages
from services.swarm.adapters.store.recent import RecentMessages
from services.swarm.adapters.store.schema import BLOCK_BITS, EXPIRY_BITS
from services.swarm.adapters.store.usage import Usage

#: Most rows removed in one transaction: a few milliseconds of the writer's time.
SLICE: Final = 256
_EXPIRED: Final = (
    f"SELECT x.period, x.block, {KNOWN} FROM expiring AS x CROSS JOIN message AS m "  # noqa: S608 - constants
    f"ON m.id BETWEEN x.block << {BLOCK_BITS} AND (x.block + 1 << {BLOCK_BITS}) - 1 "
    "WHERE x.period <= ? AND m.expiry_ms <= ? ORDER BY x.period, x.block LIMIT ?"
)


def sweep(connection: sqlite3.Connection, recent: RecentMessages, expiries: Expiries, until_ms: int) -> int:
    """Remove messages that expired, and events that no log needs any more, by ``until_ms``; at most ``SLICE`` of each.

    Returns:
        How many messages were found; ``SLICE`` means that there may be more.
    """
    period = until_ms >> EXPIRY_BITS
    found = connection.execute(_EXPIRED, (period, until_ms, SLICE)).fetchall()
    usage = Usage()
    messages = Messages(connection, usage, recent, expiries)
    # One whose expiry has moved within its block's periods is found twice.
    expired = {Known._make(row[2:]) for row in found}
    recent.index(connection, {known.tag for known in expired})
    for known in expired:
        messages.remove(known)
    usage.write(connection)
    done = min((period, 0), found[-1][:2]) if len(found) == SLICE else (period, 0)
    if connection.execute("DELETE FROM expiring WHERE (period, block) < (?, ?)", done).rowcount:
        expiries.forget()
    connection.execute(
        "DELETE FROM change WHERE id IN (SELECT id FROM change WHERE needed_until_ms <= ? LIMIT ?)", (until_ms, SLICE)
    )
    return len(found)
