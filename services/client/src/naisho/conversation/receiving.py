"""Hearing what was said: open, verify, decide, keep, and tell."""

from __future__ import annotations

from naisho.conversation.content import Accepted, PutEmoji, ReadThese, Said, Spoken, TookBack, Wrote, from_content
from naisho.conversation.sending import is_mutual
from naisho.events import Event, MessagesRead, Reacted, RequestAccepted, TextReceived, TextSentElsewhere, Typing, Unsent
from naisho.network.clock import NetworkClock
from naisho.protocol.account import ORDINARY, AccountId, AccountKeys
from naisho.protocol.envelope import unwrap
from naisho.protocol.errors import BadEnvelope
from naisho.store.mail import Mail
from naisho.store.records import Contact, Message, MessageState, Reaction
from naisho.store.store import Store
from naisho.swarm.mailbox import Listing, Stored

#: Later times do not fit the store's integers; no clock shows them.
LATEST_MS = 2**62


class Receiver:
    """What this account hears. Every rule that protects it from strangers is here."""

    def __init__(self, keys: AccountKeys, store: Store, mail: Mail, clock: NetworkClock) -> None:
        self._keys = keys
        self._store = store
        self._mail = mail
        self._clock = clock
        #: How many messages could not be opened, or broke a rule, since the start.
        self.discarded = 0
        #: Hashes of own-mailbox copies that an unsend asks to delete there.
        self.to_forget: list[str] = []

    async def take(self, listing: Listing) -> list[Event]:
        """Take in what a poll brought, in its order; what was read before is skipped."""
        unseen = await self._mail.unseen(stored.message_hash for stored in listing.messages)
        events = []
        for stored in listing.messages:
            if stored.message_hash in unseen:
                event = await self._open(stored)
                if event is not None:
                    events.append(event)
            now_ms = self._clock.device_ms()
            await self._mail.read_to(listing.namespace, stored.message_hash, stored.expires_ms, now_ms)
        return events

    async def _open(self, stored: Stored) -> Event | None:
        try:
            received = unwrap(self._keys, stored.data)
        except BadEnvelope:
            self.discarded += 1
            return None
        spoken = from_content(received.content)
        if spoken is None or received.timestamp_ms > LATEST_MS:
            self.discarded += 1
            return None
        if received.sender == self._keys.account_id:
            return await self._own(spoken, received.timestamp_ms, stored.message_hash)
        contact = await self._store.contacts.get(received.sender)
        if contact.blocked:
            return None
        return await self._foreign(contact, spoken, received.timestamp_ms, stored.message_hash)

    async def _foreign(self, contact: Contact, spoken: Spoken, at_ms: int, own_hash: str) -> Event | None:
        sender = contact.account
        match spoken:
            case Said(sync_target=None):
                return await self._said(contact, spoken, at_ms, own_hash)
            case TookBack(author, sent_ms) if author == sender:
                return await self._erase(author, sent_ms)
            case Accepted(name):
                return await self._accepted(contact, name)
            case PutEmoji(sync_target=None) if contact.approved:
                return await self._react(sender, spoken)
            case Wrote(started) if is_mutual(contact):
                return Typing(sender, started, at_ms)
            case ReadThese(times) if is_mutual(contact):
                changed = await self._store.history.advance(self._keys.account_id, times, MessageState.READ)
                return MessagesRead(sender, tuple(changed)) if changed else None
        return None

    async def _own(self, spoken: Spoken, at_ms: int, own_hash: str) -> Event | None:
        """Take in a copy from another device of this account, or this one's own."""
        own = self._keys.account_id
        match spoken:
            case Said(text, sync_target=AccountId() as peer) if peer.prefix == ORDINARY:
                message = Message(peer, own, at_ms, text, MessageState.STORED, own_hash=own_hash)
                if not await self._store.history.add(message):
                    await self._store.history.keep_hash(own, at_ms, own_hash)
                    return None
                await self._store.contacts.mark(peer, self._clock.device_ms(), approved=True)
                return TextSentElsewhere(message)
            case PutEmoji():
                return await self._react(own, spoken)
            case TookBack(author, sent_ms) if author == own:
                return await self._erase(author, sent_ms)
        return None

    async def _said(self, contact: Contact, said: Said, at_ms: int, own_hash: str) -> Event | None:
        now_ms = self._clock.device_ms()
        message = Message(contact.account, contact.account, at_ms, said.text, MessageState.RECEIVED, own_hash=own_hash)
        if not await self._store.history.add(message):
            return None
        await self._store.contacts.mark(contact.account, now_ms, approved_me=True)
        if said.name and said.name != contact.display_name:
            await self._store.contacts.rename(contact.account, said.name, now_ms)
        return TextReceived(message, said.name or contact.display_name, is_request=not contact.approved)

    async def _accepted(self, contact: Contact, name: str) -> Event | None:
        """Only somebody that we wrote to can accept us."""
        if not contact.approved:
            return None
        now_ms = self._clock.device_ms()
        before = await self._store.contacts.mark(contact.account, now_ms, approved_me=True)
        if name:
            await self._store.contacts.rename(contact.account, name, now_ms)
        return None if before.approved_me else RequestAccepted(contact.account)

    async def _react(self, who: AccountId, put: PutEmoji) -> Event | None:
        message = await self._store.history.find(put.author, put.sent_ms)
        if message is None or who not in (message.peer, self._keys.account_id):
            return None
        changed = await self._store.history.react(message, Reaction(who, put.emoji), remove=put.removed)
        return Reacted(who, message, put.emoji, put.removed) if changed else None

    async def _erase(self, author: AccountId, sent_ms: int) -> Event | None:
        message = await self._store.history.find(author, sent_ms)
        if not await self._store.history.erase(author, sent_ms):
            return None
        if message is not None and message.own_hash:
            self.to_forget.append(message.own_hash)
        return Unsent(author, sent_ms)
