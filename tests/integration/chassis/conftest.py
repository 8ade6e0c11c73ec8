from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import uvloop

from naisho.wire.node.v1.node_pb2_grpc import HopServiceServicer, HopServiceStub, add_HopServiceServicer_to_server
from naisho.wire.stream.v1.stream_pb2 import Packet
from services.chassis.grpc_endpoint import unix_channel, unix_server
from services.chassis.packed import Handler, Limits, Load, PackedClient, serve_packed


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Production runs on uvloop, and so do these tests; those of the streams run on asyncio's own loop, too."""
    del config
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"uvloop": uvloop.new_event_loop}
    if item.path.stem == "test_packed_streams":
        loops["asyncio"] = asyncio.new_event_loop
    return loops


class Peer(HopServiceServicer):
    """A gRPC server on a unix socket whose one service answers packed streams with `handler`."""

    def __init__(self, socket: Path, handler: Handler, limits: Limits | None = None) -> None:
        self.socket = socket
        self.handler = handler
        self.limits = limits
        self.load = Load()
        self.streams_begun = 0
        self.streams_ended = 0
        self.packets_read = 0
        self._server: grpc.aio.Server | None = None

    async def Exchange(  # noqa: N802 - gRPC's name
        self, request_iterator: AsyncIterator[Packet], _context: object
    ) -> AsyncIterator[Packet]:
        self.streams_begun += 1
        try:
            async for packet in serve_packed(self._counted(request_iterator), self.handler, self.limits, self.load):
                yield packet
        finally:
            self.streams_ended += 1

    async def _counted(self, packets: AsyncIterator[Packet]) -> AsyncIterator[Packet]:
        async for packet in packets:
            self.packets_read += 1
            yield packet

    async def start(self) -> None:
        self._server = unix_server(self.socket)
        add_HopServiceServicer_to_server(self, self._server)
        await self._server.start()

    async def kill(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    def channel(self) -> grpc.aio.Channel:
        return unix_channel(self.socket)


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

    def make(to: Peer, limits: Limits | None = None, **options: Any) -> PackedClient:
        channel = to.channel()
        channels.append(channel)
        made = PackedClient(HopServiceStub(channel).Exchange, limits, **options)
        clients.append(made)
        made.start()
        return made

    yield make
    for made in clients:
        await made.close()
    for channel in channels:
        await channel.close()
