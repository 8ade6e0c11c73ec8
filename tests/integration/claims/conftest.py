"""A tapped network, and clients with addresses of their own on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import httpx
import pytest

from naisho import Client
from tests.integration.claims.tapped_network import TappedNetwork
from tests.networks import anonymous_tls

#: The client for which every node of the network is broken on purpose.
BROKEN_FOR = "127.190.203.249"

#: Opens a client with a new account, given its name; all its connections come from the given address.
Join = Callable[[str, str], Awaitable[Client]]


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TappedNetwork]:
    """Fifteen nodes in fifteen processes, all tapped."""
    with TappedNetwork(tmp_path_factory.mktemp("claims") / "network", broken_for=BROKEN_FOR) as running:
        yield running


@pytest.fixture
def broken_for() -> str:
    return BROKEN_FOR


_numbers = count(101)


@pytest.fixture
def new_address() -> Callable[[], str]:
    """Return a maker of loopback addresses that nobody else uses; Linux takes any in 127.0.0.0/8 as a source."""
    return lambda: f"127.177.{next(_numbers)}.213"


def from_address(address: str) -> httpx.AsyncHTTPTransport:
    """Return what carries a client's requests from an address; no client checks nodes' certificates (wire 2.2)."""
    return httpx.AsyncHTTPTransport(verify=anonymous_tls(), local_address=address, trust_env=False)


@pytest.fixture
async def http() -> AsyncIterator[Callable[[str], httpx.AsyncClient]]:
    """Return a maker of plain HTTP clients, given their address."""
    async with AsyncExitStack() as stack:
        clients: list[httpx.AsyncClient] = []

        def make(address: str) -> httpx.AsyncClient:
            client = httpx.AsyncClient(transport=from_address(address), timeout=20)
            stack.push_async_callback(client.aclose)
            clients.append(client)
            return client

        yield make


@pytest.fixture
async def join(network: TappedNetwork, tmp_path: Path) -> AsyncIterator[Join]:
    """Return ``await join(name, address)``."""
    async with AsyncExitStack() as stack:

        async def join_from(name: str, address: str) -> Client:
            opened = Client.open(tmp_path / name, network=network.network, create=True, transport=from_address(address))
            client = await stack.enter_async_context(opened)
            await client.new_account(name)
            return client

        yield join_from
