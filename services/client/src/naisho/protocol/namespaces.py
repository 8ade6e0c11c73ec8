"""Namespaces of a mailbox: who may store and who may read, decided by number (wire 4.5)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from typing import Final

from naisho.protocol.limits import MAX_TTL_MS, MAX_TTL_PUBLIC_INBOX_MS

LOWEST: Final = -(2**15)
HIGHEST: Final = 2**15 - 1

DIRECT_MESSAGES: Final = 0
USER_PROFILE: Final = 2
CONTACTS: Final = 3
CONVERSATIONS: Final = 4
USER_GROUPS: Final = 5
GROUP_MESSAGES: Final = 11
GROUP_KEYS: Final = 12
GROUP_INFO: Final = 13
GROUP_MEMBERS: Final = 14
REMOVED_MEMBERS: Final = -11
LEGACY_GROUP: Final = -10
TEST: Final = -3741

#: Namespaces that hold messages; a poll gives them more room than the ones that hold configuration (wire 4.7).
MESSAGE_NAMESPACES: Final = frozenset({DIRECT_MESSAGES, GROUP_MESSAGES, REMOVED_MEMBERS, LEGACY_GROUP})


class NamespaceClass(Enum):
    """What a namespace's number says about it."""

    #: Anyone stores, the owner reads.
    PUBLIC_INBOX = auto()
    #: Anyone stores, anyone reads.
    LEGACY_GROUP = auto()
    #: The owner stores (write and delete rights), replacing what was there; anyone reads.
    PUBLIC_OUTBOX = auto()
    #: As private, but subaccounts read even after revocation.
    UNREVOCABLE = auto()
    #: Storing is always refused, listings are always empty.
    TEST = auto()
    #: The owner, or a subaccount with the right, stores and reads.
    PRIVATE = auto()

    @property
    def stores_unsigned(self) -> bool:
        """Whether anyone may store."""
        return self in (NamespaceClass.PUBLIC_INBOX, NamespaceClass.LEGACY_GROUP)

    @property
    def reads_unsigned(self) -> bool:
        """Whether anyone may read."""
        return self in (NamespaceClass.PUBLIC_OUTBOX, NamespaceClass.LEGACY_GROUP)

    @property
    def holds_one(self) -> bool:
        """Whether a store replaces everything stored before."""
        return self is NamespaceClass.PUBLIC_OUTBOX

    @property
    def max_ttl_ms(self) -> int:
        """Longest lifetime of a message (wire 4.6)."""
        return MAX_TTL_PUBLIC_INBOX_MS if self is NamespaceClass.PUBLIC_INBOX else MAX_TTL_MS


def classify(namespace: int) -> NamespaceClass:
    """Return the class of a namespace, ``LOWEST`` to ``HIGHEST``.

    Raises:
        ValueError: not a signed 16-bit number.
    """
    if not LOWEST <= namespace <= HIGHEST:
        raise ValueError("a namespace is a signed 16-bit number")
    if namespace == TEST:
        return NamespaceClass.TEST
    if namespace == LEGACY_GROUP:
        return NamespaceClass.LEGACY_GROUP
    if namespace % 10 == 0:
        return NamespaceClass.PUBLIC_INBOX
    if namespace < 0 and -namespace % 20 == 1:
        return NamespaceClass.PUBLIC_OUTBOX
    if namespace < 0 and -namespace % 100 == 11:  # noqa: PLR2004 - the rule's own number
        return NamespaceClass.UNREVOCABLE
    return NamespaceClass.PRIVATE


def retrieve_shares(namespaces: Iterable[int]) -> dict[int, int]:
    """Return the ``max_size`` to ask for in each namespace of one poll: -k is a k-th of the whole (wire 4.7).

    Messages come first, configuration shares what is left, so that the whole answer stays below the onion limit.
    """
    wanted = list(dict.fromkeys(namespaces))
    messages = [namespace for namespace in wanted if namespace in MESSAGE_NAMESPACES]
    levels = [level for level in (messages, [n for n in wanted if n not in MESSAGE_NAMESPACES]) if level]
    shares: dict[int, int] = {}
    divisor = 1
    for index, level in enumerate(levels):
        lowest = index == len(levels) - 1
        divisor *= len(level) + (0 if lowest else 1)
        shares |= dict.fromkeys(level, -divisor)
    return {namespace: shares[namespace] for namespace in wanted}
