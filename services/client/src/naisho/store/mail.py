"""Where the next poll goes on, what was read already, and what is on its way out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

from naisho.protocol.account import AccountId
from naisho.protocol.message_hash import message_hash
from naisho.protocol.namespaces import DIRECT_MESSAGES
from naisho.store.database import Connection, Database
from naisho.store.history import insert
from naisho.store.records import Message, MessageState, OutgoingEnvelope

OUTGOING = "id, mailbox, data, sent_ms, ttl_ms, message, copy, tries"


class Mail:
    """This account's traffic with one network."""

    def __init__(self, database: Database, network: str) -> None:
        self._database = database
        self._network = network

    async def position(self, namespace: int) -> str:
        """Return the hash of the last message read in a namespace; empty at the beginning."""

        def read(connection: Connection) -> str:
            query = "SELECT last_hash FROM position WHERE network = ? AND namespace = ?"
            row = connection.execute(query, (self._network, namespace)).fetchone()
            return "" if row is None else str(row[0])

        return await self._database.run(read)

    async def unseen(self, hashes: Iterable[str]) -> set[str]:
        """Return those hashes that were not read before."""
        wanted = set(hashes)

        def read(connection: Connection) -> set[str]:
            return {h for h in wanted if not connection.execute("SELECT 1 FROM seen WHERE hash = ?", (h,)).fetchone()}

        return await self._database.run(read)

    async def read_to(self, namespace: int, message_hash: str, expires_ms: int, now_ms: int) -> None:
        """Remember that a message was read and that the next poll goes on after it; forget expired ones."""

        def write(connection: Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO seen VALUES (?, ?)", (message_hash, expires_ms))
            connection.execute("DELETE FROM seen WHERE expires_ms < ?", (now_ms,))
            row = (self._network, namespace, message_hash)
            connection.execute("INSERT OR REPLACE INTO position VALUES (?, ?, ?)", row)

        await self._database.run(write)

    async def queue(
        self, envelopes: Iterable[OutgoingEnvelope], message: Message | None = None
    ) -> list[OutgoingEnvelope]:
        """Keep envelopes until a swarm has them, together with the message of the history that they carry.

        Copies for our other devices count as read here from now on.

        Numbers of the given envelopes are ignored; those of the returned ones are the store's.
        """

        def write(connection: Connection) -> list[OutgoingEnvelope]:
            number = insert(connection, message) if message else None
            kept = []
            for envelope in envelopes:
                row = (self._network, envelope.mailbox.raw, envelope.data, envelope.sent_ms, envelope.ttl_ms, number)
                cursor = connection.execute(
                    "INSERT INTO outgoing (network, mailbox, data, sent_ms, ttl_ms, message, copy)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (*row, envelope.is_copy),
                )
                if envelope.is_copy:
                    name = message_hash(envelope.mailbox.raw, DIRECT_MESSAGES, envelope.data)
                    expires_ms = envelope.sent_ms + envelope.ttl_ms
                    connection.execute("INSERT OR REPLACE INTO seen VALUES (?, ?)", (name, expires_ms))
                kept.append(replace(envelope, number=cast("int", cursor.lastrowid), message=number))
            return kept

        return await self._database.run(write)

    async def waiting(self, limit: int = 100) -> list[OutgoingEnvelope]:
        """Return envelopes that no swarm has yet, oldest first."""
        query = f"SELECT {OUTGOING} FROM outgoing WHERE network = ? ORDER BY id LIMIT ?"  # noqa: S608 - a constant
        rows = await self._database.run(lambda c: c.execute(query, (self._network, limit)).fetchall())
        return [_envelope(row) for row in rows]

    async def stored(self, envelope: OutgoingEnvelope, message_hash: str, members: int, asked: int) -> None:
        """Take an envelope off the queue: this many of the swarm's members signed that they keep it."""

        def write(connection: Connection) -> None:
            connection.execute("DELETE FROM outgoing WHERE id = ?", (envelope.number,))
            if envelope.message is None:
                return
            if envelope.is_copy:
                row: tuple[str | int, ...] = (message_hash, envelope.message)
                connection.execute("UPDATE message SET own_hash = ? WHERE id = ?", row)
                return
            row = (members, asked, MessageState.STORED.value, envelope.message, MessageState.QUEUED.value)
            connection.execute(
                "UPDATE message SET members_stored = ?, members_asked = ?, state = ? WHERE id = ? AND state = ?", row
            )

        await self._database.run(write)

    async def failed(self, envelope: OutgoingEnvelope, *, give_up: bool) -> None:
        """Count a try in vain, or take the envelope off the queue because it can never be stored."""
        row = (envelope.number,)
        change = (
            "DELETE FROM outgoing WHERE id = ?" if give_up else "UPDATE outgoing SET tries = tries + 1 WHERE id = ?"
        )
        await self._database.run(lambda connection: connection.execute(change, row))


def _envelope(row: tuple[int, bytes, bytes, int, int, int | None, int, int]) -> OutgoingEnvelope:
    number, mailbox, data, sent_ms, ttl_ms, message, is_copy, tries = row
    return OutgoingEnvelope(number, AccountId.from_bytes(mailbox), data, sent_ms, ttl_ms, message, bool(is_copy), tries)
