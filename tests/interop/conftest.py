"""Clients written by others, pointed at a network of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from naisho import Client
from tests.interop.foreign_client import ForeignAccount, words_that_it_can_use
from tests.networks import RunningNetwork

#: Makes an account in session-python, given its display name.
MakeForeign = Callable[[str], ForeignAccount]
#: Makes an account in the SDK, given its display name; with recovery words, brings that account here.
MakeOurs = Callable[..., Awaitable[Client]]


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    """A default network of fifteen nodes."""
    home: Path = tmp_path_factory.mktemp("interop") / "network"
    with RunningNetwork(home) as running:
        yield running


@pytest.fixture
def make_foreign(network: RunningNetwork, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeForeign]:
    """Return a maker of session-python accounts on our network; the client's seeds are all that is redirected."""
    monkeypatch.setattr("session_python.network.SEEDS", [{"url": urlsplit(network.seed).netloc}])
    accounts: list[ForeignAccount] = []

    def make(name: str) -> ForeignAccount:
        accounts.append(ForeignAccount(name))
        return accounts[-1]

    yield make
    for account in accounts:
        account.close()


@pytest.fixture
async def make_ours(network: RunningNetwork, tmp_path: Path) -> AsyncIterator[MakeOurs]:
    """Return a maker of SDK clients on our network, each with a store of its own."""
    async with AsyncExitStack() as stack:

        async def make(name: str, words: str = "") -> Client:
            client = await stack.enter_async_context(Client.open(tmp_path / name, network=network.network, create=True))
            await client.recover(words or words_that_it_can_use(), name)
            return client

        yield make
