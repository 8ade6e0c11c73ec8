"""What `Client.listen` yields: everything that happened to this account, in the order in which its mailbox has it.

Times are Unix milliseconds. A message is named by its author and the author's time for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from naisho.protocol.account import AccountId
from naisho.store.records import Message


@dataclass(frozen=True, slots=True)
class TextReceived:
    """Somebody wrote to us.

    Attributes:
        message: what was written; its `author` is the sender, whose signature holds.
        sender_name: the name that the sender gives itself, empty without one; anybody may choose any.
        is_request: the sender is a stranger: nothing goes back to it until it is accepted (SES-18).

    """

    kind: ClassVar[str] = "text"
    message: Message
    sender_name: str = field(repr=False)
    is_request: bool


@dataclass(frozen=True, slots=True)
class TextSentElsewhere:
    """Another device of this account wrote to somebody."""

    kind: ClassVar[str] = "sent-elsewhere"
    message: Message


@dataclass(frozen=True, slots=True)
class Typing:
    """A contact began or stopped writing; a beginning holds for 20 seconds at most."""

    kind: ClassVar[str] = "typing"
    account: AccountId
    started: bool
    at_ms: int


@dataclass(frozen=True, slots=True)
class MessagesRead:
    """A contact says that it read messages of ours, which are named by their times."""

    kind: ClassVar[str] = "read"
    account: AccountId
    times_ms: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reacted:
    """Somebody put an emoji on a message, or took it off."""

    kind: ClassVar[str] = "reaction"
    account: AccountId
    message: Message
    emoji: str
    removed: bool


@dataclass(frozen=True, slots=True)
class Unsent:
    """The author of a message deleted it for everyone; its text is gone from this device."""

    kind: ClassVar[str] = "unsent"
    author: AccountId
    sent_ms: int


@dataclass(frozen=True, slots=True)
class RequestAccepted:
    """Somebody that we wrote to accepted us."""

    kind: ClassVar[str] = "accepted"
    account: AccountId


Event: TypeAlias = TextReceived | TextSentElsewhere | Typing | MessagesRead | Reacted | Unsent | RequestAccepted
