"""Fixtures that every test may use: real NATS servers, and names that no other test has."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from operators.local.nats_config import NatsConfig
from operators.local.nats_server import NatsServer
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.settings import NatsSettings

#: Makes and starts a server of the test's own: to be killed, frozen, restarted. Without a configuration it lets
#: everybody do everything; a function of the server's folder may return another configuration.
NatsServerFactory = Callable[..., NatsServer]


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run tests in asyncio's own loop, unless ``mark.asyncio(loop_factories=[...])`` names others."""
    marker = item.get_closest_marker("asyncio")
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if marker is not None and "loop_factories" in marker.kwargs:
        factories["uvloop"] = uvloop.new_event_loop
    return factories


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """Return the session's running server; use it with a ``network_id`` of your own and never stop it."""
    server = NatsServer.plain(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def nats_server_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServerFactory]:
    """Return a maker of private servers, all ended with the test."""
    servers: list[NatsServer] = []

    def make(configure: Callable[[Path], NatsConfig] | None = None) -> NatsServer:
        directory = tmp_path_factory.mktemp("private-nats")
        server = NatsServer.plain(directory) if configure is None else NatsServer(directory, configure(directory))
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def network_id() -> str:
    """Return a network id that no other test has."""
    return f"n-{secrets.token_hex(6)}"


@pytest.fixture
async def nats_connect() -> AsyncIterator[Callable[..., Awaitable[NatsConnection]]]:
    """Return ``async connect(server, **settings) -> NatsConnection``; every connection is closed with the test."""
    connections: list[NatsConnection] = []

    async def connect(server: NatsServer, **settings: object) -> NatsConnection:
        connection = await NatsConnection.connect(NatsSettings(servers=(server.url,), **settings))  # type: ignore[arg-type]  # each setting has its own type
        connections.append(connection)
        return connection

    yield connect
    for connection in connections:
        await connection.close()


@pytest.fixture
async def nats(nats_server: NatsServer, nats_connect: Callable[..., Awaitable[NatsConnection]]) -> NatsConnection:
    """Return a connection to the session's server that may do everything."""
    return await nats_connect(nats_server)
