"""When messages expire, noted coarsely: in which blocks of ids something expires in a period, or did once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from itertools import chain
from typing import Final

from services.swarm.adapters.store.schema import BLOCK_BITS, EXPIRY_BITS
from services.swarm.adapters.store.sql import insert_flat

#: Most notes remembered; then the memory begins anew.
_REMEMBERED: Final = 4096


class Expiries:
    """Writes the table ``expiring``. What was noted lately is remembered: most messages of a block expire together."""

    def __init__(self) -> None:
        self._noted: set[tuple[int, int]] = set()
        #: Of the transaction under way.
        self._fresh: set[tuple[int, int]] = set()

    def note(self, connection: sqlite3.Connection, expiries: Iterable[tuple[int, int]]) -> None:
        """Have messages found when they expire, given as expiry (ms) and id."""
        wanted = {(expiry_ms >> EXPIRY_BITS, number >> BLOCK_BITS) for expiry_ms, number in expiries}
        wanted -= self._noted
        wanted -= self._fresh
        if wanted:
            insert_flat(connection, "expiring", 2, list(chain.from_iterable(sorted(wanted))), "ON CONFLICT DO NOTHING")
            self._fresh |= wanted

    def commit(self) -> None:
        """Remember what was noted: it is committed."""
        if self._fresh:
            if len(self._noted) > _REMEMBERED:
                self._noted.clear()
            self._noted |= self._fresh
            self._fresh.clear()

    def rollback(self) -> None:
        """Forget what was noted since the last commit."""
        self._fresh.clear()

    def forget(self) -> None:
        """Forget everything: notes were removed from the table."""
        self._noted.clear()
        self._fresh.clear()
