from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc.aio
import pytest

from naisho.wire.node.v1.node_pb2_grpc import HopServiceServicer, HopServiceStub, add_HopServiceServicer_to_server
from naisho.wire.stream.v1.stream_pb2 import Packet
from services.chassis.packed import Handler, Limits, Load, PackedClient, serve_packed


class Peer(HopServiceServicer):
    """A gRPC server on a unix socket whose one service answers packed streams with `handler`."""

    def __init__(self, socket: Path, handler: Handler, limits: Limits | None = None) -> None:
        self.address = f"unix:{socket}"
        self.handler = handler
        self.limits = limits
        self.load = Load()
        self.streams_ended = 0
        self._server: grpc.aio.Server | None = None

    async def Exchange(  # noqa: N802 - gRPC's name
        self, request_iterator: AsyncIterator[Packet], _context: object
    ) -> AsyncIterator[Packet]:
        try:
            async for packet in serve_packed(request_iterator, self.handler, self.limits, self.load):
                yield packet
        finally:
            self.streams_ended += 1

    async def start(self) -> None:
        self._server = grpc.aio.server()
        add_HopServiceServicer_to_server(self, self._server)
        self._server.add_insecure_port(self.address)
        await self._server.start()

    async def kill(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    def channel(self) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(self.address)


PeerMaker = Callable[..., Awaitable[Peer]]
ClientMaker = Callable[..., PackedClient]


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[PeerMaker]:
    """Start a peer: ``await peer(handler, limits)``."""
    peers: list[Peer] = []

    async def make(handler: Handler, limits: Limits | None = None) -> Peer:
        made = Peer(tmp_path / f"{len(peers)}.sock", handler, limits)
        peers.append(made)
        await made.start()
        return made

    yield make
    for made in peers:
        await made.kill()


@pytest.fixture
async def client() -> AsyncIterator[ClientMaker]:
    """Make a started client of a peer: ``client(peer, limits, **options)``."""
    channels: list[grpc.aio.Channel] = []
    clients: list[PackedClient] = []

    def make(to: Peer, limits: Limits | None = None, **options: bool | float) -> PackedClient:
        channel = to.channel()
        channels.append(channel)
        made = PackedClient(HopServiceStub(channel).Exchange, limits, **options)  # type: ignore[arg-type]  # test options
        clients.append(made)
        made.start()
        return made

    yield make
    for made in clients:
        await made.close()
    for channel in channels:
        await channel.close()
