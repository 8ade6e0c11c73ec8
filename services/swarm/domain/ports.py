"""What the request layer needs from the rest of the service, and what ``decide`` needs from a mailbox's state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from naisho.protocol.service_nodes import ServiceNode
from services.swarm.domain.admission import Places
from services.swarm.domain.commands import Command, Namespaces, Store


@dataclass(frozen=True, slots=True, repr=False)
class MessageRecord:
    """What the local store knows of one living message, without its body."""

    message_hash: bytes
    namespace: int
    timestamp_ms: int
    expiry_ms: int
    #: Order key: sequence of the first append.
    rank: int
    #: Log sequences that hold a copy of the body.
    sequences: tuple[int, ...]
    #: Bytes of the body, unsealed.
    size: int


class MailboxView(Protocol):
    """One mailbox as the local store has it, read at one moment; only living messages (expiry after ``now_ms``)."""

    @property
    def now_ms(self) -> int:
        """The moment that this view was read at."""
        ...

    @property
    def last_sequence(self) -> int:
        """Sequence of the last event folded for this mailbox; 0 if none: the ``expected`` of a guarded append."""
        ...

    def find(self, hashes: Iterable[bytes]) -> dict[bytes, MessageRecord]:
        """Return the living messages among these hashes."""
        ...

    def list(self, namespace: Namespaces) -> Sequence[MessageRecord]:
        """Return the living messages of a namespace or all, in order of rank."""
        ...

    def usage(self, namespace: int) -> tuple[int, int]:
        """Return (messages, bytes) of a namespace."""
        ...

    def account_usage(self, *, open_to_all: bool) -> tuple[int, int]:
        """Return (messages, bytes) of the account's namespaces that anybody may write to, or of all its others.

        Which is which: ``NamespaceClass.stores_unsigned``.
        """
        ...

    def revoked(self) -> Sequence[bytes]:
        """Return revoked tokens, oldest first."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class Message:
    """One message as ``retrieve`` returns it; ``data`` is the opened body."""

    message_hash: bytes
    timestamp_ms: int
    expiry_ms: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Some messages in order, and whether a limit stopped the listing."""

    messages: Sequence[Message]
    more: bool


#: One member's part of a recursive answer (wire 4.3): its result with ``signature``, or ``{"failed": true, ...}``.
MemberAnswer: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SwarmAnswer:
    """All members' answers by node key (hex), this node's own among them; ``own`` is that one."""

    members: dict[str, MemberAnswer]
    own: MemberAnswer


class Refused(Exception):
    """A request is answered with an error status; nothing was changed.

    Attributes:
        status: HTTP status code.
        body: text as the wire document has it, or a JSON object (421).
    """

    def __init__(self, status: int, body: str | dict[str, Any]) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


class Mailboxes(Protocol):
    """The mailboxes of this node's swarm: commands go through the log, reads come from the local store."""

    def admitted(self, commands: int) -> AbstractAsyncContextManager[Places]:
        """Let in several commands of one request together: all of them are carried out, or none is begun.

        Raises:
            Refused: too busy (503 before any work).
        """
        ...

    async def execute(self, command: Command, places: Places | None = None) -> SwarmAnswer:
        """Decide, append, wait until this node has committed and the members have answered or the bound has passed.

        Args:
            command: what is to be done.
            places: one of these is taken, if any is left; else the command is let in by itself.

        Raises:
            Refused: quota exceeded, log full, or too busy (503 before any work).
        """
        ...

    async def store_all(
        self, commands: Sequence[Store], places: Places | None = None
    ) -> Sequence[SwarmAnswer | Refused]:
        """Execute several stores of one request, those that can be together; what each would have got or raised.

        Args:
            commands: what is to be stored.
            places: see ``execute``.
        """
        ...

    async def read(
        self, account: bytes, namespace: int, *, after: bytes | None, max_count: int | None, max_bytes: int
    ) -> Page:
        """List messages by order behind the one with hash ``after`` (wire 4.7); at least one if any exists."""
        ...

    async def expiries(self, account: bytes, hashes: Sequence[bytes]) -> dict[bytes, int]:
        """Return the expiry (ms) of those messages that live."""
        ...

    async def revoked(self, account: bytes) -> frozenset[bytes]:
        """Return the account's revoked subaccount tokens."""
        ...


#: One listed node, as the answers of ``get_swarm`` and the node lists name it.
NodeContact: TypeAlias = ServiceNode


class NodeList(Protocol):
    """The network as the newest verified directory has it, and this node's place in it."""

    @property
    def own_key(self) -> bytes:
        """This node's Ed25519 public key."""
        ...

    @property
    def own_swarm(self) -> int:
        """This node's swarm id; ``INVALID_SWARM`` while it has none."""
        ...

    @property
    def height(self) -> int:
        """The directory's epoch, which stands where the wire protocol has a block height."""
        ...

    def active(self) -> Sequence[NodeContact]:
        """Return all active nodes that can be contacted over IPv4."""
        ...

    def swarm_ids(self) -> Sequence[int]:
        """Return the ids of live swarms, sorted."""
        ...

    def members(self, swarm_id: int) -> Sequence[NodeContact]:
        """Return the active nodes of one swarm."""
        ...
