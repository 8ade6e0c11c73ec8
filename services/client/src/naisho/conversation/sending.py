"""Saying something: into the store first, then to the swarms, until they have signed for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from naisho.conversation.content import (
    MOST_CHARACTERS,
    Accepted,
    PutEmoji,
    ReadThese,
    Said,
    Spoken,
    TookBack,
    Wrote,
    times_of,
    to_content,
)
from naisho.errors import BadAccountId, NaishoError, RequestRefused, TextTooLong, UnknownMessage
from naisho.network.clock import NetworkClock
from naisho.protocol.account import ORDINARY, AccountId, AccountKeys
from naisho.protocol.envelope import wrap
from naisho.protocol.errors import BadKey
from naisho.store.mail import Mail
from naisho.store.records import Contact, Message, MessageState, OutgoingEnvelope, Reaction
from naisho.store.store import Store
from naisho.swarm.mailbox import Mailboxes, StoreReceipt
from naisho.swarm.receipts import Receipt

DAY_MS = 24 * 3_600_000
TTL_MS = 14 * DAY_MS
TYPING_TTL_MS = 20_000
#: Envelopes stored at the same time.
AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of something that was said.

    Attributes:
        message: the message as the history has it; for a reaction or an unsend, the message meant.
        receipt: who signed that the peer's mailbox keeps it; None while it waits in this device's store.
        took_ms: from sending to the receipt, there and back through the path.
        error: why it waits, if it does. It is tried again with everything that is sent or listened for later.

    """

    message: Message
    receipt: Receipt | None = None
    took_ms: int | None = None
    error: NaishoError | None = None


class _Outcome(NamedTuple):
    stored: StoreReceipt | None
    error: NaishoError | None


class Sender:
    """What this account says."""

    def __init__(
        self, *, keys: AccountKeys, name: str, store: Store, mail: Mail, mailboxes: Mailboxes, clock: NetworkClock
    ) -> None:
        self._keys = keys
        self.name = name
        self._store = store
        self._mail = mail
        self._mailboxes = mailboxes
        self._clock = clock
        self._last_ms = 0
        #: Numbers of the envelopes that are on their way just now.
        self._under_way: set[int] = set()

    async def text(self, to: AccountId, text: str) -> Delivery:
        """Write to an account.

        Raises:
            BadAccountId: not an account that can be written to.
            TextTooLong: more than 2,000 characters, or nothing.
        """
        if not 0 < len(text) <= MOST_CHARACTERS:
            raise TextTooLong(length=len(text), limit=MOST_CHARACTERS)
        await self._greet(to)
        at_ms = self._now()
        message = Message(to, self._keys.account_id, at_ms, text, MessageState.QUEUED)
        envelopes = self._with_copy(to, Said(text, self.name), Said(text, self.name, to), at_ms)
        return await self._deliver(message, await self._mail.queue(envelopes, message))

    async def react(self, author: AccountId, sent_ms: int, emoji: str, *, remove: bool = False) -> Delivery:
        """Put an emoji on a message, or take it off.

        Raises:
            UnknownMessage: this device does not know the message.
        """
        message = await self._known(author, sent_ms)
        at_ms = self._now()
        put = PutEmoji(author, sent_ms, emoji, remove)
        copy = PutEmoji(author, sent_ms, emoji, remove, message.peer)
        await self._store.history.react(message, Reaction(self._keys.account_id, emoji), remove=remove)
        return await self._deliver(message, await self._mail.queue(self._with_copy(message.peer, put, copy, at_ms)))

    async def unsend(self, sent_ms: int) -> Delivery:
        """Delete an own message for everyone: here, at the peer, and in our own mailbox (wire 8.3).

        Raises:
            UnknownMessage: this account wrote no such message, as far as this device knows.
        """
        author = self._keys.account_id
        message = await self._known(author, sent_ms)
        await self._store.history.erase(author, sent_ms)
        back = TookBack(author, sent_ms)
        delivery = await self._deliver(
            message, await self._mail.queue(self._with_copy(message.peer, back, back, self._now()))
        )
        if message.own_hash:
            await self.forget(message.own_hash)
        return delivery

    async def forget(self, own_hash: str) -> bool:
        """Delete a message from our own mailbox; False if no member signed for it (it expires in time)."""
        try:
            await self._mailboxes.delete([own_hash])
        except NaishoError:
            return False
        return True

    async def typing(self, to: AccountId, *, started: bool) -> None:
        """Say that we began or stopped writing; only to accounts that accepted us and we them."""
        if is_mutual(await self._store.contacts.get(to)):
            await self._say(to, Wrote(started), TYPING_TTL_MS)

    async def read(self, peer: AccountId, *, receipt: bool) -> list[Message]:
        """Mark a peer's messages as read and return them; with `receipt`, tell the peer if both accepted each other."""
        unread = await self._store.history.unread(peer)
        times = times_of([message.sent_ms for message in unread])
        await self._store.history.advance(peer, times, MessageState.READ)
        if times and receipt and is_mutual(await self._store.contacts.get(peer)):
            await self._say(peer, ReadThese(times))
        return unread

    async def accept(self, peer: AccountId) -> None:
        """Accept a message request and say so."""
        before = await self._store.contacts.mark(peer, self._clock.device_ms(), approved=True, blocked=False)
        if not before.approved and before.approved_me:
            await self._say(peer, Accepted(self.name))

    async def flush(self) -> list[NaishoError]:
        """Try everything that waits, oldest first, and return why something still waits."""
        waiting = [envelope for envelope in await self._mail.waiting() if envelope.number not in self._under_way]
        return [error for _, error in await self._store_all(waiting) if error is not None]

    async def _greet(self, to: AccountId) -> None:
        """Writing to somebody accepts them; one who asked before learns of it first (wire 8.3)."""
        if to.prefix != ORDINARY:
            raise BadAccountId
        if to != self._keys.account_id:
            await self.accept(to)

    async def _known(self, author: AccountId, sent_ms: int) -> Message:
        message = await self._store.history.find(author, sent_ms)
        if message is None or message.state is MessageState.UNSENT:
            raise UnknownMessage
        return message

    async def _say(self, to: AccountId, spoken: Spoken, ttl_ms: int = TTL_MS) -> None:
        await self._store_all(await self._mail.queue([self._envelope(to, spoken, self._now(), ttl_ms)]))

    async def _deliver(self, message: Message, envelopes: Sequence[OutgoingEnvelope]) -> Delivery:
        results = await self._store_all(envelopes)
        after = await self._store.history.find(message.author, message.sent_ms) or message
        stored, error = results[0]
        return Delivery(after, stored.receipt, stored.took_ms) if stored else Delivery(after, error=error)

    async def _store_all(self, envelopes: Sequence[OutgoingEnvelope]) -> list[_Outcome]:
        limit = asyncio.Semaphore(AT_ONCE)
        numbers = {envelope.number for envelope in envelopes}
        self._under_way |= numbers
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._store_one(envelope, limit)) for envelope in envelopes]
        finally:
            self._under_way -= numbers
        return [task.result() for task in tasks]

    async def _store_one(self, envelope: OutgoingEnvelope, limit: asyncio.Semaphore) -> _Outcome:
        async with limit:
            try:
                stored = await self._mailboxes.store(envelope.mailbox, envelope.data, envelope.sent_ms, envelope.ttl_ms)
            except NaishoError as error:
                expired = envelope.sent_ms + envelope.ttl_ms <= self._clock.now_ms()
                await self._mail.failed(envelope, give_up=expired or isinstance(error, RequestRefused))
                return _Outcome(None, error)
            receipt = stored.receipt
            await self._mail.stored(envelope, receipt.message_hash, receipt.count, receipt.asked)
            return _Outcome(stored, None)

    def _with_copy(self, to: AccountId, spoken: Spoken, copy: Spoken, at_ms: int) -> list[OutgoingEnvelope]:
        """Return the envelope for the peer and the copy for our own devices; to oneself there is only the copy."""
        own = self._keys.account_id
        copied = self._envelope(own, copy, at_ms, TTL_MS, is_copy=True)
        return [copied] if to == own else [self._envelope(to, spoken, at_ms, TTL_MS), copied]

    def _envelope(
        self, mailbox: AccountId, spoken: Spoken, at_ms: int, ttl_ms: int, *, is_copy: bool = False
    ) -> OutgoingEnvelope:
        try:
            data = wrap(self._keys, mailbox, to_content(spoken, at_ms), at_ms)
        except BadKey as error:
            raise BadAccountId from error
        return OutgoingEnvelope(0, mailbox, data, at_ms, ttl_ms, None, is_copy, 0)

    def _now(self) -> int:
        """Return network time, never the same twice: with its author it names a message."""
        self._last_ms = max(self._clock.now_ms(), self._last_ms + 1)
        return self._last_ms


def is_mutual(contact: Contact) -> bool:
    """Tell whether two accounts accepted each other, so that typing and receipts may go between them."""
    return contact.approved and contact.approved_me and not contact.blocked
