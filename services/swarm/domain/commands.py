"""What a checked request asks of one mailbox (wire 4.6 to 4.9).

Requests become commands only after parameters, namespaces, times and signatures have been checked; a command holds
plain values and is what ``decide`` and the members' results are computed from. Every command that changes a mailbox is
executed by all members of the swarm, each of which signs its own result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from naisho.protocol import storage_texts

#: Every namespace of the account, as requests and signed texts spell it.
ALL: Final = storage_texts.ALL
Namespaces: TypeAlias = storage_texts.NamespaceChoice


@dataclass(frozen=True, slots=True, repr=False)
class Store:
    """Deposit one message. ``message_hash`` is the 32 raw bytes of the wire document's hash (wire 4.6)."""

    account: bytes
    namespace: int
    message_hash: bytes
    data: bytes
    timestamp_ms: int
    expiry_ms: int


@dataclass(frozen=True, slots=True, repr=False)
class Delete:
    """Delete messages by hash, in any namespace; hashes in the order of the request."""

    account: bytes
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, repr=False)
class DeleteAll:
    """Delete everything in one namespace or all of them."""

    account: bytes
    namespace: Namespaces
    timestamp_ms: int


@dataclass(frozen=True, slots=True, repr=False)
class DeleteBefore:
    """Delete messages whose own timestamp is at or before ``before_ms``."""

    account: bytes
    namespace: Namespaces
    before_ms: int


@dataclass(frozen=True, slots=True, repr=False)
class Expire:
    """Change the expiry of messages: one expiry for all, or one for each hash."""

    account: bytes
    hashes: tuple[bytes, ...]
    expiries_ms: tuple[int, ...]
    #: ``any`` sets it; ``shorten`` and ``extend`` only move it one way.
    mode: storage_texts.ExpireMode
    #: The request spelled its ``expiry`` as a list, so that the result does too.
    listed: bool = False
    #: Set when the signer lacked the right to delete: silently only extends, without reporting what did not change.
    extend_only: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class ExpireAll:
    """Shorten the expiry of every message that lives longer than ``expiry_ms``."""

    account: bytes
    namespace: Namespaces
    expiry_ms: int


@dataclass(frozen=True, slots=True, repr=False)
class Revoke:
    """Revoke subaccount tokens (36 bytes each)."""

    account: bytes
    tokens: tuple[bytes, ...]
    timestamp_ms: int


@dataclass(frozen=True, slots=True, repr=False)
class Unrevoke:
    """Take revocations back."""

    account: bytes
    tokens: tuple[bytes, ...]
    timestamp_ms: int


@dataclass(frozen=True, slots=True, repr=False)
class Stores:
    """First stores that one request asks for together, in mailboxes of any kind: members answer for all at once."""

    stores: tuple[Store, ...]


Command: TypeAlias = Store | Delete | DeleteAll | DeleteBefore | Expire | ExpireAll | Revoke | Unrevoke
#: What members can be asked for their part of.
Asked: TypeAlias = Command | Stores
