"""What an event does to one mailbox: the rules that every member's store follows, as a pure fold.

The local store folds the same events by the same rules into SQLite; model tests hold the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from naisho.protocol.limits import MAX_REVOCATIONS
from naisho.protocol.namespaces import classify
from services.swarm.domain.commands import ALL, Namespaces
from services.swarm.domain.events import Deleted, Event, ExpiryChanged, Revoked, Stored, Unrevoked
from services.swarm.domain.ports import MessageRecord


@dataclass(slots=True, repr=False)
class Changes:
    """What folding one command's events changed in one member's mailbox: what its result is computed from."""

    #: Messages that were not there before, with their expiry (ms).
    created: dict[bytes, int] = field(default_factory=dict)
    #: Messages that were stored again, with their expiry after that.
    present: dict[bytes, int] = field(default_factory=dict)
    #: Messages deleted, with their namespace.
    deleted: dict[bytes, int] = field(default_factory=dict)
    #: Messages whose expiry moved, with their namespace.
    moved: dict[bytes, int] = field(default_factory=dict)
    #: Revocations taken back.
    unrevoked: int = 0

    def add(self, later: Changes) -> None:
        """Take in what a further event of the same command changed."""
        self.created |= later.created
        self.present |= later.present
        self.deleted |= later.deleted
        self.moved |= later.moved
        self.unrevoked += later.unrevoked


@dataclass(frozen=True, slots=True, repr=False)
class Mailbox:
    """One mailbox as its events made it; expired messages stay until ``swept``."""

    messages: Mapping[bytes, MessageRecord] = field(default_factory=dict)
    #: Oldest first.
    revoked: tuple[bytes, ...] = ()
    last_sequence: int = 0


class Evolved(NamedTuple):
    """A mailbox after an event, and what the event changed."""

    mailbox: Mailbox
    changes: Changes


def evolve(mailbox: Mailbox, event: Event, *, sequence: int, time_ms: int) -> Evolved:
    """Fold one event.

    Args:
        mailbox: the state before.
        event: what happened.
        sequence: the event's sequence in the log, above that of every event folded before.
        time_ms: when the log stored it: messages whose expiry had passed then are dead, on every member alike.
    """
    messages = dict(mailbox.messages)
    revoked = mailbox.revoked
    changes = Changes()
    match event:
        case Stored():
            messages[event.message_hash] = _stored(messages.get(event.message_hash), event, sequence, time_ms, changes)
        case Deleted():
            for gone in event.messages:
                if (found := messages.pop(gone.message_hash, None)) is not None:
                    changes.deleted[found.message_hash] = found.namespace
        case ExpiryChanged():
            for change in event.messages:
                found = messages.get(change.message_hash)
                if found is not None and change.expiry_ms < found.expiry_ms:
                    messages[found.message_hash] = replace(found, expiry_ms=change.expiry_ms)
                    changes.moved[found.message_hash] = found.namespace
        case Revoked():
            revoked = (*(t for t in revoked if t not in event.tokens), *event.tokens)[-MAX_REVOCATIONS:]
        case Unrevoked():
            kept = tuple(t for t in revoked if t not in event.tokens)
            changes.unrevoked = len(revoked) - len(kept)
            revoked = kept
    return Evolved(Mailbox(messages, revoked, sequence), changes)


def _stored(
    before: MessageRecord | None, event: Stored, sequence: int, time_ms: int, changes: Changes
) -> MessageRecord:
    """Merge a store: a living message keeps its order key and the later expiry, whatever the order of two stores.

    An event that names an order key is right about it and the timestamp: a replay may have met a second store of the
    message first.
    """
    copies = () if before is None else tuple(s for s in before.sequences if s not in event.replaces)
    if before is None or before.expiry_ms <= time_ms:
        changes.created[event.message_hash] = event.expiry_ms
        return MessageRecord(
            event.message_hash,
            event.namespace,
            event.timestamp_ms,
            event.expiry_ms,
            sequence if event.rank is None else event.rank,
            (*copies, sequence),
            event.size,
        )
    after = replace(
        before,
        timestamp_ms=before.timestamp_ms if event.rank is None else event.timestamp_ms,
        expiry_ms=max(before.expiry_ms, event.expiry_ms),
        rank=before.rank if event.rank is None else event.rank,
        sequences=(*copies, sequence),
    )
    changes.present[event.message_hash] = after.expiry_ms
    if after.expiry_ms > before.expiry_ms:
        changes.moved[event.message_hash] = after.namespace
    return after


def swept(mailbox: Mailbox, now_ms: int) -> Mailbox:
    """Return the mailbox without messages whose expiry has passed."""
    return replace(mailbox, messages={h: m for h, m in mailbox.messages.items() if m.expiry_ms > now_ms})


class StateView:
    """A folded mailbox at one moment, as ``decide`` wants to see it."""

    def __init__(self, mailbox: Mailbox, now_ms: int) -> None:
        self._living = swept(mailbox, now_ms).messages
        self._revoked = mailbox.revoked
        self.now_ms = now_ms
        self.last_sequence = mailbox.last_sequence

    def find(self, hashes: Iterable[bytes]) -> dict[bytes, MessageRecord]:
        """See ``MailboxView``."""
        return {h: self._living[h] for h in hashes if h in self._living}

    def list(self, namespace: Namespaces) -> Sequence[MessageRecord]:
        """See ``MailboxView``."""
        chosen = (m for m in self._living.values() if namespace in (ALL, m.namespace))
        return sorted(chosen, key=lambda m: m.rank)

    def usage(self, namespace: int) -> tuple[int, int]:
        """See ``MailboxView``."""
        return _sum(m for m in self._living.values() if m.namespace == namespace)

    def account_usage(self, *, open_to_all: bool) -> tuple[int, int]:
        """See ``MailboxView``."""
        return _sum(m for m in self._living.values() if classify(m.namespace).stores_unsigned == open_to_all)

    def revoked(self) -> Sequence[bytes]:
        """See ``MailboxView``."""
        return self._revoked


def _sum(messages: Iterable[MessageRecord]) -> tuple[int, int]:
    sizes = [m.size for m in messages]
    return len(sizes), sum(sizes)
