"""What a command appends to the log: a pure function of the command and what the mailbox holds (wire 4.6 to 4.9)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from naisho.protocol.limits import MAX_REVOCATIONS
from naisho.protocol.namespaces import classify
from services.swarm.domain.commands import (
    Command,
    Delete,
    DeleteAll,
    DeleteBefore,
    Expire,
    ExpireAll,
    Revoke,
    Store,
    Unrevoke,
)
from services.swarm.domain.events import (
    ChangedMessage,
    Deleted,
    DeletedMessage,
    Event,
    ExpiryChanged,
    Revoked,
    Stored,
    Unrevoked,
)
from services.swarm.domain.policies import Quotas, Retention
from services.swarm.domain.ports import MailboxView, MessageRecord, Refused

#: Copies of one message in the log; the next one has the older ones erased.
MAX_COPIES: Final = 16
#: An event about many messages is split so that it stays well below the log's limit for one event.
_EVENT_BUDGET: Final = 400_000
_BYTES_PER_MESSAGE: Final = 56
_BYTES_PER_SEQUENCE: Final = 10

FULL_NAMESPACE_MESSAGES: Final = "Mailbox full: at most {} messages in one namespace; delete some or let them expire"
FULL_NAMESPACE_BYTES: Final = "Mailbox full: at most {} bytes in one namespace; delete messages or let them expire"
FULL_ACCOUNT_MESSAGES: Final = "Mailbox full: at most {} messages in one account; delete some or let them expire"
FULL_ACCOUNT_BYTES: Final = "Mailbox full: at most {} bytes in one account; delete messages or let them expire"


@dataclass(frozen=True, slots=True, repr=False)
class Decision:
    """Events to append on the account's subject, in this order.

    Attributes:
        events: none if the mailbox is already as the command wants it.
        guarded: it holds only if the view was up to date. The first event expects ``view.last_sequence`` and each
            further one the sequence of the one before it; without events, make sure that the log has nothing on the
            account's subject that is not folded here. If that fails, fold what is new and decide again. Not guarded: a
            first store, one event, which is idempotent.
    """

    events: tuple[Event, ...]
    guarded: bool


def decide(command: Command, view: MailboxView, quotas: Quotas, retention: Retention) -> Decision:
    """Return what to append for a command.

    Args:
        command: a checked command.
        view: the mailbox as this node has it now.
        quotas: limits for stores of new messages.
        retention: bounds how late an expiry may be moved.

    Raises:
        Refused: 403, the mailbox is full.
    """
    match command:
        case Store():
            return _store(command, view, quotas)
        case Delete():
            return _delete(view.find(command.hashes).values())
        case DeleteAll():
            return _delete(view.list(command.namespace))
        case DeleteBefore():
            return _delete(m for m in view.list(command.namespace) if m.timestamp_ms <= command.before_ms)
        case Expire():
            return _expire(command, view, retention)
        case ExpireAll():
            later = (m for m in view.list(command.namespace) if m.expiry_ms > command.expiry_ms)
            return _guarded(_shortened((m, command.expiry_ms) for m in later))
        case Revoke():
            known = set(view.revoked())
            fresh = [t for t in dict.fromkeys(command.tokens) if t not in known][-MAX_REVOCATIONS:]
            return _guarded([Revoked(tuple(fresh), command.timestamp_ms)] if fresh else [])
        case Unrevoke():
            known = set(view.revoked())
            gone = tuple(t for t in dict.fromkeys(command.tokens) if t in known)
            return _guarded([Unrevoked(gone)] if gone else [])


def _store(command: Store, view: MailboxView, quotas: Quotas) -> Decision:
    known = view.find((command.message_hash,)).get(command.message_hash)
    outbox = classify(command.namespace).holds_one
    replaced = [m for m in view.list(command.namespace) if m.message_hash != command.message_hash] if outbox else []
    events: list[Event] = []
    if known is None:
        _check_quotas(command, view, quotas, replaced)
        events.append(
            Stored(
                command.message_hash,
                command.namespace,
                command.timestamp_ms,
                command.expiry_ms,
                command.data,
                len(command.data),
            )
        )
    elif command.expiry_ms > known.expiry_ms:
        events.append(_extended(known, command.expiry_ms))
    events += _deleted(replaced)
    return Decision(tuple(events), guarded=outbox or known is not None)


def _check_quotas(command: Store, view: MailboxView, quotas: Quotas, replaced: Sequence[MessageRecord]) -> None:
    """Refuse a store that finds no room; what it replaces counts no more. Concurrent stores may overshoot a little."""
    added = 1 - len(replaced)
    grown = len(command.data) - sum(m.size for m in replaced)
    messages, size = view.usage(command.namespace)
    if messages + added > quotas.namespace_messages:
        raise Refused(403, FULL_NAMESPACE_MESSAGES.format(quotas.namespace_messages))
    if size + grown > quotas.namespace_bytes:
        raise Refused(403, FULL_NAMESPACE_BYTES.format(quotas.namespace_bytes))
    messages, size = view.account_usage(open_to_all=classify(command.namespace).stores_unsigned)
    if messages + added > quotas.account_messages:
        raise Refused(403, FULL_ACCOUNT_MESSAGES.format(quotas.account_messages))
    if size + grown > quotas.account_bytes:
        raise Refused(403, FULL_ACCOUNT_BYTES.format(quotas.account_bytes))


def _expire(command: Expire, view: MailboxView, retention: Retention) -> Decision:
    known = view.find(command.hashes)
    latest = view.now_ms + retention.longest_ms
    expiries = command.expiries_ms if len(command.expiries_ms) > 1 else command.expiries_ms * len(command.hashes)
    wanted = {found.message_hash: found.expiry_ms for found in known.values()}
    for message_hash, asked in zip(command.hashes, expiries, strict=True):
        current = wanted.get(message_hash)
        if current is None:
            continue
        target = min(asked, latest)
        if command.extend_only or command.mode == "extend":
            target = max(target, current)
        elif command.mode == "shorten":
            target = min(target, current)
        wanted[message_hash] = target
    later = [_extended(m, wanted[h]) for h, m in known.items() if wanted[h] > m.expiry_ms]
    earlier = _shortened((m, wanted[h]) for h, m in known.items() if wanted[h] < m.expiry_ms)
    return _guarded([*earlier, *later])


def _delete(messages: Iterable[MessageRecord]) -> Decision:
    return _guarded(_deleted(messages))


def _guarded(events: Sequence[Event]) -> Decision:
    return Decision(tuple(events), guarded=True)


def _extended(message: MessageRecord, expiry_ms: int) -> Stored:
    return Stored(
        message.message_hash,
        message.namespace,
        message.timestamp_ms,
        expiry_ms,
        None,
        message.size,
        rank=message.rank,
        replaces=message.sequences if len(message.sequences) >= MAX_COPIES else (),
    )


def _deleted(messages: Iterable[MessageRecord]) -> list[Deleted]:
    return [
        Deleted(tuple(DeletedMessage(m.message_hash, m.namespace, m.sequences) for m in part))
        for part in _parts(messages)
    ]


def _shortened(messages: Iterable[tuple[MessageRecord, int]]) -> list[ExpiryChanged]:
    expiries = {m.message_hash: (m, expiry) for m, expiry in messages}
    return [
        ExpiryChanged(tuple(ChangedMessage(m.message_hash, expiries[m.message_hash][1], m.sequences) for m in part))
        for part in _parts(m for m, _ in expiries.values())
    ]


def _parts(messages: Iterable[MessageRecord]) -> Iterator[list[MessageRecord]]:
    """Split messages so that an event about each part keeps within the budget."""
    part: list[MessageRecord] = []
    size = 0
    for message in messages:
        cost = _BYTES_PER_MESSAGE + _BYTES_PER_SEQUENCE * len(message.sequences)
        if part and size + cost > _EVENT_BUDGET:
            yield part
            part, size = [], 0
        part.append(message)
        size += cost
    if part:
        yield part
