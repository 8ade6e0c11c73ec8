"""The gRPC side that other nodes call: mutual TLS, both certificates pinned by the directory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Any

import grpc
import grpc.aio

from naisho.wire.node.v1.node_pb2_grpc import HopServiceServicer, add_HopServiceServicer_to_server
from naisho.wire.stream.v1.stream_pb2 import Packet
from services.chassis.certificates import Identity
from services.chassis.grpc_endpoint import TrustedPeers, pinned_server
from services.chassis.packed import Limits, Load, Reply, serve_packed
from services.onion.api.layers import Layers

_STRANGER = Reply(403, b"This node's certificate is not in the directory")


class HopServer(HopServiceServicer):
    """Takes layers from other nodes of the directory, and from nobody else.

    Args:
        layers: what to do with them.
        trusted: the directory's certificates; changes count at once, also on open streams.
        limits: bounds on all streams together.
    """

    def __init__(self, layers: Layers, trusted: TrustedPeers, limits: Limits) -> None:
        self.load = Load()
        self._layers = layers
        self._trusted = trusted
        self._limits = limits
        self._server: grpc.aio.Server | None = None

    async def start(self, address: str, identity: Identity) -> int:
        """Listen; return the port (a free one if the address has port 0).

        Raises:
            RuntimeError: the address is not to be had.
        """
        server, port = pinned_server(address, identity, self._trusted)
        add_HopServiceServicer_to_server(self, server)
        await server.start()
        self._server = server
        return port

    async def Exchange(  # noqa: N802 - the protocol's name
        self, request_iterator: AsyncIterator[Packet], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[Packet]:
        """Serve one node's stream."""
        caller = self._trusted.caller(context)
        if caller is None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the certificate is not in the directory")
            return

        def handle(code: int, body: bytes) -> Reply | Awaitable[Reply]:
            return self._layers.layer(code, body) if self._trusted.holds(caller) else _STRANGER

        async for packet in serve_packed(request_iterator, handle, self._limits, self.load):
            yield packet

    async def drain(self) -> None:
        """Refuse new layers and finish those in hand."""
        await self.load.drain()

    async def stop(self) -> None:
        """Cut the streams off."""
        if self._server is not None:
            await self._server.stop(None)
