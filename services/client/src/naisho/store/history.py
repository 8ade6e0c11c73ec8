"""Text messages of both directions, with their reactions."""

from __future__ import annotations

from naisho.protocol.account import AccountId
from naisho.store.database import Connection, Database
from naisho.store.records import Message, MessageState, Reaction

COLUMNS = "id, peer, author, sent_ms, text, state, members_stored, members_asked, own_hash"


class History:
    """A message is named by its author and the author's time, as on the wire (wire 8.3)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, message: Message) -> bool:
        """Keep a message; False if one of that name in that conversation is known already."""
        return await self._database.run(lambda connection: insert(connection, message) is not None)

    async def find(self, author: AccountId, sent_ms: int) -> Message | None:
        """Return the message of that name."""
        query = f"SELECT {COLUMNS} FROM message WHERE author = ? AND sent_ms = ?"  # noqa: S608 - a constant

        def read(connection: Connection) -> Message | None:
            row = connection.execute(query, (author.raw, sent_ms)).fetchone()
            return None if row is None else _message(connection, row)

        return await self._database.run(read)

    async def conversation(self, peer: AccountId, limit: int = 100) -> list[Message]:
        """Return the newest messages with a peer, oldest first."""
        query = f"SELECT {COLUMNS} FROM message WHERE peer = ? ORDER BY sent_ms DESC, id DESC LIMIT ?"  # noqa: S608 - as above

        def read(connection: Connection) -> list[Message]:
            rows = connection.execute(query, (peer.raw, limit)).fetchall()
            return [_message(connection, row) for row in reversed(rows)]

        return await self._database.run(read)

    async def unread(self, peer: AccountId) -> list[Message]:
        """Return the peer's messages that were not read yet, oldest first."""
        query = f"SELECT {COLUMNS} FROM message WHERE author = ? AND state = ? ORDER BY sent_ms, id"  # noqa: S608 - as above

        def read(connection: Connection) -> list[Message]:
            rows = connection.execute(query, (peer.raw, MessageState.RECEIVED.value)).fetchall()
            return [_message(connection, row) for row in rows]

        return await self._database.run(read)

    async def advance(self, author: AccountId, times: tuple[int, ...], state: MessageState) -> list[int]:
        """Mark messages as read; return the times of those that were not yet. An unsent one stays unsent."""

        def write(connection: Connection) -> list[int]:
            changed = []
            for sent_ms in times:
                update = "UPDATE message SET state = ? WHERE author = ? AND sent_ms = ? AND state NOT IN (?, ?)"
                row = (state.value, author.raw, sent_ms, state.value, MessageState.UNSENT.value)
                if connection.execute(update, row).rowcount:
                    changed.append(sent_ms)
            return changed

        return await self._database.run(write)

    async def erase(self, author: AccountId, sent_ms: int) -> bool:
        """Empty a message and drop its reactions; False if there was nothing to erase."""

        def write(connection: Connection) -> bool:
            name = (author.raw, sent_ms)
            select = "SELECT id FROM message WHERE author = ? AND sent_ms = ? AND state != ?"
            row = connection.execute(select, (*name, MessageState.UNSENT.value)).fetchone()
            if row is None:
                return False
            connection.execute(
                "UPDATE message SET text = '', state = ? WHERE id = ?", (MessageState.UNSENT.value, row[0])
            )
            connection.execute("DELETE FROM reaction WHERE message = ?", row)
            connection.execute("DELETE FROM outgoing WHERE message = ?", row)
            return True

        return await self._database.run(write)

    async def react(self, message: Message, reaction: Reaction, *, remove: bool) -> bool:
        """Add or remove a reaction; False if nothing changed or the message is unknown."""

        def write(connection: Connection) -> bool:
            select = "SELECT id FROM message WHERE peer = ? AND author = ? AND sent_ms = ? AND state != ?"
            name = (message.peer.raw, message.author.raw, message.sent_ms, MessageState.UNSENT.value)
            row = connection.execute(select, name).fetchone()
            if row is None:
                return False
            change = (
                "DELETE FROM reaction WHERE message = ? AND author = ? AND emoji = ?"
                if remove
                else "INSERT OR IGNORE INTO reaction VALUES (?, ?, ?)"
            )
            return bool(connection.execute(change, (row[0], reaction.author.raw, reaction.emoji)).rowcount)

        return await self._database.run(write)

    async def keep_hash(self, author: AccountId, sent_ms: int, own_hash: str) -> None:
        """Remember the hash of a message's copy in our own mailbox."""
        row = (own_hash, author.raw, sent_ms)
        update = "UPDATE message SET own_hash = ? WHERE author = ? AND sent_ms = ?"
        await self._database.run(lambda connection: connection.execute(update, row))


def insert(connection: Connection, message: Message) -> int | None:
    """Insert a message inside a transaction; return its number, None if its name is taken."""
    row = (
        message.peer.raw,
        message.author.raw,
        message.sent_ms,
        message.text,
        message.state.value,
        message.own_hash,
    )
    cursor = connection.execute(
        "INSERT OR IGNORE INTO message (peer, author, sent_ms, text, state, own_hash) VALUES (?, ?, ?, ?, ?, ?)", row
    )
    return cursor.lastrowid if cursor.rowcount else None


def _message(connection: Connection, row: tuple[int, bytes, bytes, int, str, str, int, int, str]) -> Message:
    number, peer, author, sent_ms, text, state, stored, asked, own_hash = row
    reactions = connection.execute("SELECT author, emoji FROM reaction WHERE message = ? ORDER BY rowid", (number,))
    return Message(
        peer=AccountId.from_bytes(peer),
        author=AccountId.from_bytes(author),
        sent_ms=sent_ms,
        text=text,
        state=MessageState(state),
        members_stored=stored,
        members_asked=asked,
        own_hash=own_hash,
        reactions=tuple(Reaction(AccountId.from_bytes(who), emoji) for who, emoji in reactions.fetchall()),
    )
