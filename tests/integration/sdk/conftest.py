"""People with clients on a network in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from naisho import Client
from naisho.testing import FakeNetwork

Join: TypeAlias = Callable[[str], Awaitable[Client]]


@pytest.fixture
def network() -> FakeNetwork:
    return FakeNetwork()


@pytest.fixture
async def join(network: FakeNetwork, tmp_path: Path) -> AsyncIterator[Join]:
    """Return a function that gives somebody of a name an account, or opens the one that is there."""
    async with AsyncExitStack() as stack:

        async def joined(name: str) -> Client:
            opening = Client.open(tmp_path / name, network=network.file, transport=network, create=True, environment={})
            client = await stack.enter_async_context(opening)
            if not client.has_account:
                await client.new_account(name)
            return client

        yield joined
