"""What the store remembers, as values. None of them prints what was said, or who said it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from naisho.protocol.account import AccountId


class MessageState(StrEnum):
    """How far a message has come, each backed by what a node or the peer signed (SES-30)."""

    #: In this device's store; no node has it yet.
    QUEUED = "queued"
    #: At least one member of the peer's swarm signed that it keeps it.
    STORED = "stored"
    #: The peer says that it was read.
    READ = "read"
    #: From the peer, not read yet.
    RECEIVED = "received"
    #: Deleted for everyone; the text is gone from this device.
    UNSENT = "unsent"


@dataclass(frozen=True, slots=True)
class Reaction:
    """One account's emoji on a message."""

    author: AccountId
    emoji: str


@dataclass(frozen=True, slots=True)
class Message:
    """A text message in this device's history.

    Attributes:
        peer: the other side of the conversation.
        author: who wrote it: the peer, or this account (also from another device).
        sent_ms: the author's time, Unix milliseconds; with the author it names the message.
        text: empty once unsent.
        members_stored: how many members of the swarm signed a receipt for it (own messages).
        members_asked: how many members the swarm has.
        own_hash: hash of the copy in our own mailbox; empty if unknown.

    """

    peer: AccountId
    author: AccountId
    sent_ms: int
    text: str = field(repr=False)
    state: MessageState
    members_stored: int = 0
    members_asked: int = 0
    own_hash: str = field(default="", repr=False)
    reactions: tuple[Reaction, ...] = ()


@dataclass(frozen=True, slots=True)
class Contact:
    """What is known of another account.

    Attributes:
        approved: we accepted it (by accepting, or by writing to it).
        approved_me: it accepted us (by saying so, or by writing to us).
        blocked: what comes from it is dropped unread.

    """

    account: AccountId
    display_name: str = field(default="", repr=False)
    approved: bool = False
    approved_me: bool = False
    blocked: bool = False

    @property
    def is_request(self) -> bool:
        """It wrote to us and waits for our answer; nothing of ours goes there until then (SES-18)."""
        return self.approved_me and not self.approved and not self.blocked


@dataclass(frozen=True, slots=True)
class PinnedEntry:
    """A node that this device uses as first hop for weeks."""

    node: bytes
    pinned_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class OutgoingEnvelope:
    """Sealed bytes on their way to a mailbox.

    Attributes:
        number: the store's own number.
        mailbox: whose mailbox.
        data: the envelope, as `store` takes it.
        message: number of the history's message that it carries, if it does.
        is_copy: it goes to our own mailbox, for our other devices.

    """

    number: int
    mailbox: AccountId
    data: bytes = field(repr=False)
    sent_ms: int
    ttl_ms: int
    message: int | None
    is_copy: bool
    tries: int
