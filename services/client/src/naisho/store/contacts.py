"""Other accounts, and who accepted whom."""

from __future__ import annotations

from naisho.protocol.account import AccountId
from naisho.store.database import Connection, Database
from naisho.store.records import Contact

FLAGS = ("approved", "approved_me", "blocked")


class Contacts:
    """Every account that we wrote to or that wrote to us."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, account: AccountId) -> Contact:
        """Return what is known of an account; a stranger is a contact without any flag."""

        def read(connection: Connection) -> Contact:
            query = "SELECT account, display_name, approved, approved_me, blocked FROM contact WHERE account = ?"
            row = connection.execute(query, (account.raw,)).fetchone()
            return Contact(account) if row is None else _contact(row)

        return await self._database.run(read)

    async def all(self) -> list[Contact]:
        """Return every known account, in the order of first sight."""
        query = (
            "SELECT account, display_name, approved, approved_me, blocked FROM contact ORDER BY first_seen_ms, rowid"
        )
        rows = await self._database.run(lambda c: c.execute(query).fetchall())
        return [_contact(row) for row in rows]

    async def mark(self, account: AccountId, now_ms: int, **flags: bool) -> Contact:
        """Set some of the flags (`approved`, `approved_me`, `blocked`) and return the contact as it was before."""
        if not set(flags) <= set(FLAGS):
            raise TypeError(f"flags are {FLAGS}")
        before = await self.get(account)

        def write(connection: Connection) -> None:
            _see(connection, account, now_ms)
            for name, value in flags.items():
                connection.execute(f"UPDATE contact SET {name} = ? WHERE account = ?", (value, account.raw))  # noqa: S608 - from FLAGS

        await self._database.run(write)
        return before

    async def rename(self, account: AccountId, display_name: str, now_ms: int) -> None:
        """Keep the name that an account gives itself."""

        def write(connection: Connection) -> None:
            _see(connection, account, now_ms)
            connection.execute("UPDATE contact SET display_name = ? WHERE account = ?", (display_name, account.raw))

        await self._database.run(write)


def _see(connection: Connection, account: AccountId, now_ms: int) -> None:
    row = (account.raw, now_ms)
    connection.execute("INSERT OR IGNORE INTO contact (account, first_seen_ms) VALUES (?, ?)", row)


def _contact(row: tuple[bytes, str, int, int, int]) -> Contact:
    account, name, approved, approved_me, blocked = row
    return Contact(AccountId.from_bytes(account), name, bool(approved), bool(approved_me), bool(blocked))
