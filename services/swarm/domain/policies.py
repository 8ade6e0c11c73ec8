"""The operator's limits: how long mail may live and how much of it one mailbox may hold."""

from __future__ import annotations

from dataclasses import dataclass

from naisho.protocol.limits import MAX_TTL_MS, MAX_TTL_PUBLIC_INBOX_MS, MIN_TTL_MS
from naisho.protocol.namespaces import NamespaceClass
from services.swarm.domain.events import Event, Revoked, Stored, Unrevoked


@dataclass(frozen=True, slots=True)
class Retention:
    """How long a message may live (wire 4.6), in ms."""

    shortest_ms: int = MIN_TTL_MS
    #: In public inboxes, where strangers write.
    public_inbox_ms: int = MAX_TTL_PUBLIC_INBOX_MS
    #: Everywhere else, and the furthest that any expiry may be moved (wire 4.8).
    longest_ms: int = MAX_TTL_MS

    def allows(self, lifetime_ms: int, namespace: NamespaceClass) -> bool:
        """Tell whether a message may be stored to live that long."""
        longest = self.public_inbox_ms if namespace is NamespaceClass.PUBLIC_INBOX else self.longest_ms
        return self.shortest_ms <= lifetime_ms <= longest


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
    if isinstance(event, Revoked | Unrevoked):
        return None
    return now_ms + retention.longest_ms
