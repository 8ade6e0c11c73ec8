"""The operator's limits: how long mail may live and how much of it one mailbox may hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.swarm.domain.events import Event, Stored
from services.swarm.domain.events import Revoked as RevokedEvent
from services.swarm.domain.events import Unrevoked as UnrevokedEvent

DAY_MS: Final = 86_400_000
#: Revocations kept per account; one more drops the oldest (wire 4.9).
MAX_REVOKED: Final = 50


@dataclass(frozen=True, slots=True)
class Retention:
    """How long a message may live (wire 4.6), in ms."""

    shortest_ms: int = 10_000
    #: In public inboxes, where strangers write.
    public_inbox_ms: int = 14 * DAY_MS
    #: Everywhere else, and the furthest that any expiry may be moved (wire 4.8).
    longest_ms: int = 30 * DAY_MS


@dataclass(frozen=True, slots=True)
class Quotas:
    """How much one account may hold.

    The account's limits count twice and apart: once for the namespaces that anybody may write to, once for all others,
    so that strangers cannot take the room of the owner's own data.
    """

    namespace_messages: int = 10_000
    namespace_bytes: int = 64 * 1024 * 1024
    account_messages: int = 50_000
    account_bytes: int = 256 * 1024 * 1024


def needed_until_ms(event: Event, now_ms: int, retention: Retention) -> int | None:
    """Return until when (ms) the log must keep an event, ``None`` for ever; the caller adds its margin.

    A deletion or a shortening must outlive every copy of what it takes back, whatever expiry those copies were
    appended with, lest a replay bring them back: none lives longer than the longest allowed expiry.
    """
    if isinstance(event, Stored):
        return event.expiry_ms
    if isinstance(event, RevokedEvent | UnrevokedEvent):
        return None
    return now_ms + retention.longest_ms
