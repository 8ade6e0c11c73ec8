"""Between what people say and `Content`, the protobuf message inside an envelope (wire 8.2). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from naisho.protocol.account import AccountId
from naisho.protocol.errors import BadAccountId
from naisho.wire.session.v1.session_pb2 import (
    Content,
    DataMessage,
    MessageRequestResponse,
    Profile,
    ReceiptMessage,
    TypingMessage,
    UnsendRequest,
)

MOST_NAME_BYTES = 100
#: What other clients let a person type (wire 8.9).
MOST_CHARACTERS = 2000
MOST_EMOJI_BYTES = 64
MOST_RECEIPTS = 512


@dataclass(frozen=True, slots=True)
class Said:
    """A text. `sync_target`: the peer, if this is our own device's copy. `name`: what the author calls itself."""

    text: str = field(repr=False)
    name: str = field(default="", repr=False)
    sync_target: AccountId | None = None


@dataclass(frozen=True, slots=True)
class Wrote:
    """Began (or stopped) typing."""

    started: bool


@dataclass(frozen=True, slots=True)
class ReadThese:
    """Read messages of these times."""

    times_ms: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PutEmoji:
    """Put an emoji on the message of that author and time, or took it off."""

    author: AccountId
    sent_ms: int
    emoji: str
    removed: bool
    sync_target: AccountId | None = None


@dataclass(frozen=True, slots=True)
class TookBack:
    """Deleted a message for everyone."""

    author: AccountId
    sent_ms: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """Accepted the message request."""

    name: str = ""


Spoken: TypeAlias = Said | Wrote | ReadThese | PutEmoji | TookBack | Accepted


def to_content(spoken: Spoken, at_ms: int) -> Content:
    """Return the protobuf message for something said at a time (Unix ms)."""
    match spoken:
        case Said(text, name, target):
            data = DataMessage(body=text)
            if name:
                data.profile.displayName = name
            if target is not None:
                data.syncTarget = target.hex
            return Content(dataMessage=data)
        case Wrote(started):
            moment = TypingMessage.STARTED if started else TypingMessage.STOPPED
            return Content(typingMessage=TypingMessage(timestamp=at_ms, action=moment))
        case ReadThese(times):
            return Content(receiptMessage=ReceiptMessage(type=ReceiptMessage.READ, timestamp=times))
        case PutEmoji(author, sent_ms, emoji, removed, target):
            action = DataMessage.Reaction.REMOVE if removed else DataMessage.Reaction.REACT
            reaction = DataMessage.Reaction(id=sent_ms, author=author.hex, emoji=emoji, action=action)
            data = DataMessage(reaction=reaction)
            if target is not None:
                data.syncTarget = target.hex
            return Content(dataMessage=data)
        case TookBack(author, sent_ms):
            return Content(unsendRequest=UnsendRequest(timestamp=sent_ms, author=author.hex))
        case Accepted(name):
            profile = Profile(displayName=name) if name else None
            return Content(messageRequestResponse=MessageRequestResponse(isApproved=True, profile=profile))


def from_content(content: Content) -> Spoken | None:
    """Return what a protobuf message says; None for kinds that this version does not speak, or nonsense."""
    if content.HasField("dataMessage"):
        return _from_data(content.dataMessage)
    if content.HasField("typingMessage"):
        return Wrote(content.typingMessage.action == TypingMessage.STARTED)
    if content.HasField("receiptMessage"):
        times = tuple(_time(time) for time in content.receiptMessage.timestamp[:MOST_RECEIPTS])
        return ReadThese(times) if content.receiptMessage.type == ReceiptMessage.READ and times else None
    if content.HasField("unsendRequest"):
        author = _account(content.unsendRequest.author)
        return TookBack(author, _time(content.unsendRequest.timestamp)) if author else None
    if content.HasField("messageRequestResponse") and content.messageRequestResponse.isApproved:
        return Accepted(clean_name(content.messageRequestResponse.profile.displayName))
    return None


def clean_name(name: str) -> str:
    """Return a name that another account gives itself, cut to its limit, without control characters.

    >>> clean_name("Mallory" + chr(27) + "[31m")
    'Mallory[31m'
    """
    kept = "".join(character for character in name if character.isprintable()).strip()
    return kept.encode()[:MOST_NAME_BYTES].decode("utf-8", "ignore")


def _from_data(data: DataMessage) -> Spoken | None:
    target = _account(data.syncTarget) if data.syncTarget else None
    if data.syncTarget and target is None:
        return None
    if data.HasField("reaction"):
        author, emoji = _account(data.reaction.author), data.reaction.emoji
        if author is None or not 0 < len(emoji.encode()) <= MOST_EMOJI_BYTES or not emoji.isprintable():
            return None
        removed = data.reaction.action == DataMessage.Reaction.REMOVE
        return PutEmoji(author, _time(data.reaction.id), emoji, removed, target)
    return Said(data.body, clean_name(data.profile.displayName), target) if data.body else None


def _account(text: str) -> AccountId | None:
    try:
        return AccountId.parse(text)
    except BadAccountId:
        return None


def _time(value: int) -> int:
    """Return a time that fits the store's integers; nobody's message has a later one."""
    return min(value, 2**62)


def times_of(spoken: Sequence[int]) -> tuple[int, ...]:
    """Return the times of a receipt, cut to its limit."""
    return tuple(spoken[:MOST_RECEIPTS])
