"""The SDK on real nodes in processes of their own: talk, and a hop that stops in mid-sentence."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, aclosing, contextmanager
from pathlib import Path

import pytest

from naisho import Client, Light, PathStatus, TextReceived
from naisho.paths.choosing import Route
from tests.networks import RunningNetwork

PROCESSES = 15


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    """A network of fifteen nodes, each in a process of its own: a frozen process is one frozen node."""
    with RunningNetwork(tmp_path_factory.mktemp("sdk") / "network", "--processes", str(PROCESSES)) as network:
        yield network


@pytest.fixture
async def pair(running: RunningNetwork, tmp_path: Path) -> AsyncIterator[tuple[Client, Client]]:
    """Return two accounts on it."""
    async with AsyncExitStack() as stack:
        clients = []
        for name in ("alice", "bob"):
            opening = Client.open(tmp_path / name, network=running.network_file, create=True, environment={})
            clients.append(await stack.enter_async_context(opening))
            await clients[-1].new_account(name)
        yield clients[0], clients[1]


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process without ending it: its sockets stay open and nothing comes back."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_every_member_signs_and_the_other_side_hears(
    running: RunningNetwork, pair: tuple[Client, Client]
) -> None:
    alice, bob = pair
    swarm = await alice.swarm(bob.account_id)
    everybody = {node.key for node in swarm.members}
    signed: list[set[bytes]] = []
    while everybody not in signed:  # a member that a busy machine keeps from answering in time is told as silent
        assert len(signed) < 3
        delivery = await alice.send(bob.account_id, f"across real sockets, {len(signed)}")
        assert delivery.receipt is not None
        signed.append(set(delivery.receipt.members))
    events = await bob.poll()
    assert all(isinstance(event, TextReceived) for event in events)
    texts = [event.message.text for event in events if isinstance(event, TextReceived)]
    assert texts == [f"across real sockets, {number}" for number in range(len(signed))]
    assert (await alice.directory()).network_id == running.network.network_id


@pytest.mark.slow
async def test_a_frozen_exit_turns_the_light_orange_in_time_and_messages_flow_again(
    running: RunningNetwork, pair: tuple[Client, Client]
) -> None:
    alice, bob = pair
    process = {bytes.fromhex(node["key"]): running.pids[node["processes"][0]] for node in running.status["nodes"]}
    loop = asyncio.get_running_loop()
    frozen_at = 0.0
    lights: list[Light] = []
    with ExitStack() as stack:
        async with aclosing(alice.watch_path()) as statuses, asyncio.timeout(50):
            async for status in statuses:
                if not frozen_at and status.light is Light.GREEN:
                    entry, middle, exit_node = (process[hop.key] for hop in route_of(status))
                    if exit_node in {entry, middle}:
                        await alice.reach().paths.renew()
                        continue
                    stack.enter_context(frozen(exit_node))
                    frozen_at = loop.time()
                elif frozen_at and (not lights or status.light is not lights[-1]):
                    lights.append(status.light)
                    if lights == [Light.ORANGE]:
                        assert status.cause is not None
                        assert loop.time() - frozen_at < 15
                    if lights == [Light.ORANGE, Light.GREEN]:
                        assert process[route_of(status).exit.key] != exit_node
                        break
        delivery = await alice.send(bob.account_id, "by another way")
        assert delivery.receipt is not None
        assert 0 < delivery.receipt.count <= delivery.receipt.asked
    (event,) = await bob.poll()
    assert isinstance(event, TextReceived)
    assert event.message.text == "by another way"


def route_of(status: PathStatus) -> Route:
    assert status.path is not None
    return status.path.route
