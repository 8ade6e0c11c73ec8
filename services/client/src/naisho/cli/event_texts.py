"""Events as lines for people and as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from naisho.cli.output import plain, short
from naisho.events import (
    Event,
    MessagesRead,
    Reacted,
    RequestAccepted,
    TextReceived,
    TextSentElsewhere,
    Typing,
    Unsent,
)
from naisho.store.records import Message
from naisho.texts import Texts


def event_line(event: Event, texts: Texts) -> str:
    """Return an event as a line for a terminal."""
    match event:
        case TextReceived(message, name, is_request):
            who = f"{plain(name)} ({short(message.author.hex)})" if name else short(message.author.hex)
            key = "listen.request" if is_request else "listen.text"
            line = texts(key, time=clock(message.sent_ms), who=who, text=plain(message.text))
            return f"{line}\n{texts('listen.answer', account=message.author.hex)}" if is_request else line
        case TextSentElsewhere(message):
            time, peer = clock(message.sent_ms), short(message.peer.hex)
            return texts("listen.elsewhere", time=time, who=peer, text=plain(message.text))
        case Typing(account, started):
            return texts("listen.typing" if started else "listen.stopped", who=short(account.hex))
        case MessagesRead(account, times):
            return texts("listen.read", who=short(account.hex), count=len(times))
        case Reacted(account, message, emoji, removed):
            key = "listen.reaction_removed" if removed else "listen.reaction"
            return texts(key, who=short(account.hex), emoji=plain(emoji), text=plain(message.text[:40]))
        case Unsent(author, sent_ms):
            return texts("listen.unsent", who=short(author.hex), time=clock(sent_ms))
        case RequestAccepted(account):
            return texts("listen.accepted", who=short(account.hex))


def event_document(event: Event) -> dict[str, Any]:
    """Return an event as JSON."""
    match event:
        case TextReceived(message, name, is_request):
            return {"event": event.kind, **message_document(message), "sender_name": name, "is_request": is_request}
        case TextSentElsewhere(message):
            return {"event": event.kind, **message_document(message)}
        case Typing(account, started, at_ms):
            return {"event": event.kind, "account": account.hex, "started": started, "at_ms": at_ms}
        case MessagesRead(account, times):
            return {"event": event.kind, "account": account.hex, "times_ms": list(times)}
        case Reacted(account, message, emoji, removed):
            target = {"author": message.author.hex, "sent_ms": message.sent_ms}
            return {"event": event.kind, "account": account.hex, **target, "emoji": emoji, "removed": removed}
        case Unsent(author, sent_ms):
            return {"event": event.kind, "author": author.hex, "sent_ms": sent_ms}
        case RequestAccepted(account):
            return {"event": event.kind, "account": account.hex}


def message_document(message: Message) -> dict[str, Any]:
    """Return a message as JSON."""
    return {
        "peer": message.peer.hex,
        "author": message.author.hex,
        "sent_ms": message.sent_ms,
        "text": message.text,
        "state": message.state.value,
        "members_stored": message.members_stored,
        "members_asked": message.members_asked,
        "reactions": [{"author": each.author.hex, "emoji": each.emoji} for each in message.reactions],
    }


def clock(at_ms: int) -> str:
    """Return a time of day, with the date if it is not today; local time."""
    try:
        moment = datetime.fromtimestamp(at_ms / 1000).astimezone()
    except (OverflowError, ValueError, OSError):
        return "?"
    today = datetime.now().astimezone().date()
    return moment.strftime("%H:%M" if moment.date() == today else "%Y-%m-%d %H:%M")
