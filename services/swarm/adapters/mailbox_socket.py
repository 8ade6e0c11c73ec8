"""The unix socket on which `swarm` answers the `onion` beside it, where each is a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import grpc.aio

from naisho.wire.node.v1 import node_pb2 as wire
from naisho.wire.node.v1.node_pb2_grpc import MailboxServiceServicer, add_MailboxServiceServicer_to_server
from naisho.wire.stream.v1.stream_pb2 import Packet
from services.chassis.grpc_endpoint import unix_server
from services.chassis.grpc_health import Health
from services.chassis.lifecycle import Lifecycle
from services.chassis.packed import Load, Reply, serve_packed

_SERVICE = "naisho.wire.node.v1.MailboxService"
_GRACE_S = 1.0


class MailboxSocket(MailboxServiceServicer):
    """Serves one node's mailboxes to whoever may open the socket's folder.

    Args:
        handle: answers storage requests.
        directories: makes a reader of signed directories, the newest first.
        report_peers: takes what was seen of other nodes.
        lifecycle: the service's, for its health.
    """

    def __init__(
        self,
        handle: Callable[[int, bytes], Awaitable[Reply]],
        directories: Callable[[], AsyncIterator[bytes]],
        report_peers: Callable[[Iterable[tuple[bytes, bool]]], None],
        lifecycle: Lifecycle,
    ) -> None:
        self._handle = handle
        self._directories = directories
        self._report_peers = report_peers
        self._lifecycle = lifecycle
        self._load = Load()
        self._server: grpc.aio.Server | None = None

    async def start(self, socket: Path) -> None:
        """Listen.

        Raises:
            RuntimeError: the socket cannot be made there.
            ValueError: its path is too long.
        """
        server = unix_server(socket)
        add_MailboxServiceServicer_to_server(self, server)
        health = Health(server, [(_SERVICE, self._lifecycle)])
        await health.report()
        await server.start()
        self._server = server
        self._lifecycle.spawn(health.follow(), "health")

    async def drain(self) -> None:
        """Refuse new calls and finish those in hand."""
        await self._load.drain()

    async def stop(self) -> None:
        """Cut the streams off."""
        if self._server is not None:
            await self._server.stop(_GRACE_S)
            self._server = None

    async def Exchange(  # noqa: N802 - the protocol's name
        self, request_iterator: AsyncIterator[Packet], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[Packet]:
        """Answer storage requests."""
        del context
        async for packet in serve_packed(request_iterator, self._handle, load=self._load):
            yield packet

    async def WatchDirectory(  # noqa: N802 - the protocol's name
        self, request: wire.WatchDirectoryRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[wire.WatchDirectoryResponse]:
        """Yield the newest signed directory, then newer ones."""
        del request, context
        async for signed in self._directories():
            yield wire.WatchDirectoryResponse(signed_directory=signed)

    async def ReportPeers(  # noqa: N802 - the protocol's name
        self, request: wire.ReportPeersRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> wire.ReportPeersResponse:
        """Take what `onion` saw of other nodes."""
        del context
        self._report_peers((report.node, report.reachable) for report in request.reports)
        return wire.ReportPeersResponse()
