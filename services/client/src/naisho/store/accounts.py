"""The account of this store, and its settings."""

from __future__ import annotations

from naisho.errors import AccountExists, NoAccount
from naisho.protocol.account import AccountKeys
from naisho.store.database import Connection, Database


class Accounts:
    """At most one account, never replaced."""

    def __init__(self, database: Database, profile: str) -> None:
        self._database = database
        self._profile = profile

    async def load(self) -> tuple[AccountKeys, str]:
        """Return the account's keys and display name.

        Raises:
            NoAccount: none was made or recovered here.
        """

        def read(connection: Connection) -> tuple[bytes, str] | None:
            found: tuple[bytes, str] | None = connection.execute("SELECT seed, display_name FROM account").fetchone()
            return found

        row = await self._database.run(read)
        if row is None:
            raise NoAccount(profile=self._profile)
        return AccountKeys.from_seed(row[0]), row[1]

    async def save(self, keys: AccountKeys, display_name: str, now_ms: int) -> None:
        """Keep a new account.

        Raises:
            AccountExists: there is one already.
        """

        def write(connection: Connection) -> bool:
            if connection.execute("SELECT 1 FROM account").fetchone():
                return False
            row = (keys.seed, display_name, now_ms)
            connection.execute("INSERT INTO account (only, seed, display_name, created_ms) VALUES (1, ?, ?, ?)", row)
            return True

        if not await self._database.run(write):
            raise AccountExists(profile=self._profile)

    async def rename(self, display_name: str) -> None:
        """Change the display name that goes out with every message."""
        await self._database.run(lambda c: c.execute("UPDATE account SET display_name = ?", (display_name,)))

    async def setting(self, name: str, default: str = "") -> str:
        """Return a setting's text."""

        def read(connection: Connection) -> str:
            row = connection.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
            return default if row is None else str(row[0])

        return await self._database.run(read)

    async def set(self, name: str, value: str) -> None:
        """Keep a setting's text."""
        row = (name, value)
        await self._database.run(lambda c: c.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", row))
