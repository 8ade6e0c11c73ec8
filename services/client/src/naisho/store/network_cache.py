"""What this device knows of one network: the last directory and the pinned entries."""

from __future__ import annotations

from naisho.store.database import Connection, Database
from naisho.store.records import PinnedEntry


class NetworkCache:
    """Replaceable at any time; nothing here is believed without being verified again."""

    def __init__(self, database: Database, network: str) -> None:
        self._database = database
        self._network = network

    async def directory(self) -> tuple[bytes, int] | None:
        """Return the signed directory and when it was fetched (Unix ms)."""

        def read(connection: Connection) -> tuple[bytes, int] | None:
            query = "SELECT signed, fetched_ms FROM directory WHERE network = ?"
            found: tuple[bytes, int] | None = connection.execute(query, (self._network,)).fetchone()
            return found

        return await self._database.run(read)

    async def keep_directory(self, signed: bytes, fetched_ms: int) -> None:
        """Replace the directory."""
        row = (self._network, signed, fetched_ms)
        await self._database.run(lambda c: c.execute("INSERT OR REPLACE INTO directory VALUES (?, ?, ?)", row))

    async def drop_directory(self) -> None:
        """Forget a directory that turned out to be useless."""
        row = (self._network,)
        await self._database.run(lambda c: c.execute("DELETE FROM directory WHERE network = ?", row))

    async def entries(self) -> list[PinnedEntry]:
        """Return the pinned entries, most preferred first."""
        query = "SELECT node, pinned_ms, until_ms FROM entry WHERE network = ? ORDER BY rank"
        rows = await self._database.run(lambda c: c.execute(query, (self._network,)).fetchall())
        return [PinnedEntry(*row) for row in rows]

    async def keep_entries(self, entries: list[PinnedEntry]) -> None:
        """Replace the pinned entries."""

        def write(connection: Connection) -> None:
            connection.execute("DELETE FROM entry WHERE network = ?", (self._network,))
            rows = [(self._network, rank, e.node, e.pinned_ms, e.until_ms) for rank, e in enumerate(entries)]
            connection.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", rows)

        await self._database.run(write)
