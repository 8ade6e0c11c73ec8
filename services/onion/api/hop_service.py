"""The gRPC side that other nodes call: mutual TLS, both certificates pinned by the directory."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from naisho.wire.stream.v1.stream_pb2 import Packet
from services.chassis.certificates import Identity, TrustedPeers
from services.chassis.http2 import Incoming, Listener
from services.chassis.packed import Limits, Load, Reply, serve_packed
from services.onion.api.layers import Layers

#: The method of ``HopService`` (protos/naisho/wire/node/v1).
_EXCHANGE: Final = "/naisho.wire.node.v1.HopService/Exchange"

_STRANGER = Reply(403, b"This node's certificate is not in the directory")


class HopServer:
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
        self._listener: Listener[Packet] | None = None

    async def start(self, host: str, port: int, identity: Identity) -> int:
        """Listen; return the port (a free one if `port` is 0).

        Raises:
            OSError: the address is not to be had.
        """
        self._listener = Listener(_EXCHANGE, Packet, self._exchange, identity, self._trusted)
        return await self._listener.start(host, port)

    async def _exchange(self, stream: Incoming[Packet]) -> None:
        """Serve one node's stream."""
        caller = stream.certificate

        def handle(code: int, body: bytes) -> Reply | Awaitable[Reply]:
            return self._layers.layer(code, body) if self._trusted.holds(caller) else _STRANGER

        async for packet in serve_packed(stream, handle, self._limits, self.load):
            await stream.write(packet)

    async def drain(self) -> None:
        """Refuse new layers and finish those in hand."""
        await self.load.drain()

    async def stop(self) -> None:
        """Cut the streams off."""
        if self._listener is not None:
            await self._listener.stop()
