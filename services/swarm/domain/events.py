"""What happens to one mailbox, in plain values; ``services.swarm.adapters.event_codec`` gives them their bytes.

An event is one message of the log. ``decide`` makes events, ``evolve`` and the local store fold them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias


class Stored(NamedTuple):
    """A message came in, or one that is there is appended again in full because its expiry moved later."""

    #: 32 bytes.
    message_hash: bytes
    namespace: int
    timestamp_ms: int
    expiry_ms: int
    #: The body; ``None`` in a decision means the body that the mailbox already holds, to be sealed anew for this
    #: expiry, and in an event read from the log that the body is sealed and travels beside the event.
    data: bytes | None
    #: Bytes of the body, unsealed.
    size: int
    #: Order key: sequence of the first append; ``None`` in the first append itself.
    rank: int | None = None
    #: Sequences of older copies in the log that this one makes needless, for the custodian to erase now.
    replaces: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return "Stored(…)"  # neither hash nor body belongs into a log


class DeletedMessage(NamedTuple):
    """One message of ``Deleted``."""

    message_hash: bytes
    namespace: int
    #: Log sequences that hold a copy of the body, for the custodian to erase now.
    sequences: tuple[int, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Deleted:
    """Messages were deleted before their expiry: a tombstone for each."""

    messages: tuple[DeletedMessage, ...]


class ChangedMessage(NamedTuple):
    """One message of ``ExpiryChanged``."""

    message_hash: bytes
    expiry_ms: int
    #: Log sequences that hold a copy of the body, for the custodian to erase once ``expiry_ms`` has passed: they are
    #: sealed for the later expiry that the message had.
    sequences: tuple[int, ...]


@dataclass(frozen=True, slots=True, repr=False)
class ExpiryChanged:
    """Expiries moved earlier; a later one is a ``Stored`` with ``rank``, as the body must be sealed anew."""

    messages: tuple[ChangedMessage, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Revoked:
    """Subaccount tokens (36 bytes each) were revoked, in this order."""

    tokens: tuple[bytes, ...]
    time_ms: int


@dataclass(frozen=True, slots=True, repr=False)
class Unrevoked:
    """Revocations were taken back."""

    tokens: tuple[bytes, ...]


Event: TypeAlias = Stored | Deleted | ExpiryChanged | Revoked | Unrevoked
