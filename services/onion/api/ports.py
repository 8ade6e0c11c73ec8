"""What the public face of a node needs from behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Protocol

from naisho.protocol.onion.routing import ToServer
from services.chassis.packed import Reply


class Mailbox(Protocol):
    """This node's mailboxes: over a unix socket, or in the same process."""

    @property
    def available(self) -> bool:
        """Whether calls have a chance to be answered."""
        ...

    def handle(self, call: int, body: bytes) -> Awaitable[Reply]:
        """Answer a storage RPC request; `call` is a ``MailboxCall``. Fails only by a defect."""
        ...

    def watch_directory(self) -> AsyncIterator[bytes]:
        """Yield the newest signed directory, then each newer one, for ever."""
        ...

    async def report_peers(self, reports: Sequence[tuple[bytes, bool]]) -> None:
        """Tell which nodes (Ed25519 keys) answered at their public address."""
        ...


class Peers(Protocol):
    """The other nodes."""

    def forward(self, destination: bytes, layer: bytes) -> Reply | Awaitable[Reply]:
        """Send a serialised ``OnionLayer`` to a node; return what the client gets: its answer, or what went wrong."""
        ...


class Servers(Protocol):
    """Servers outside the network."""

    async def relay(self, route: ToServer) -> Reply:
        """Post to a server and return what the client gets.

        Raises:
            RelayRefused: the server is none that this node relays to.
        """
        ...
