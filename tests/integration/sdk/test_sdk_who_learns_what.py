"""Which nodes learn a client's address, and which its mailboxes: never the same ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from naisho import AccountId, Client
from naisho.protocol.account import AccountKeys
from naisho.testing import FakeNetwork, Fault

Join = Callable[[str], Awaitable[Client]]


def destinations(network: FakeNetwork, account: AccountId) -> set[bytes]:
    """Return the nodes that were asked about an account's mailbox."""
    return {one.destination for one in network.carried if account.hex in str(one.params)}


async def test_a_node_that_knows_our_address_is_never_asked_for_a_mailbox(network: FakeNetwork, tmp_path: Path) -> None:
    seeds = network.directory.nodes[:4]
    file = replace(network.file, seeds=tuple(f"http://{node.endpoints[0].host}:22021" for node in seeds))
    async with Client.open(tmp_path, network=file, transport=network, create=True) as alice:
        await alice.new_account()
        for number in range(30):
            peer = AccountKeys.generate().account_id
            assert (await alice.send(peer, f"hello {number}")).receipt is not None
            await alice.poll()
            await alice.reach().paths.renew()
        know_address = {node.key for node in seeds} | set(alice.reach().paths.pinned())
        assert alice.reach().directory.acquainted == know_address
        asked = {one.destination for one in network.carried}
        assert len(asked) >= 3  # of the eight that are left; which, is chance
        assert know_address.isdisjoint(asked)


async def test_an_entry_does_not_keep_our_own_mailbox(network: FakeNetwork, join: Join) -> None:
    alice = await join("Alice")
    await alice.prove_path()
    own = {node.key for node in network.members(alice.account_id)}
    assert len(alice.reach().paths.pinned()) == 3
    assert own.isdisjoint(alice.reach().paths.pinned())
    network.faults = dict.fromkeys(alice.reach().paths.pinned(), Fault.DOWN)
    await alice.prove_path()
    assert len(alice.reach().paths.pinned()) == 4
    assert own.isdisjoint(alice.reach().paths.pinned())


async def test_in_a_network_of_one_swarm_anybody_is_an_entry_and_a_stranger_is_asked(tmp_path: Path) -> None:
    network = FakeNetwork(12, swarms=1)
    async with Client.open(tmp_path, network=network.file, transport=network, create=True) as alice:
        await alice.new_account()
        for _ in range(10):
            await alice.poll()
            await alice.reach().paths.renew()
        assert destinations(network, alice.account_id)
        assert destinations(network, alice.account_id).isdisjoint(alice.reach().paths.pinned())


async def test_where_everybody_knows_us_the_network_still_works(network: FakeNetwork, tmp_path: Path) -> None:
    places = [f"http://{node.endpoints[0].host}:22021" for node in network.directory.nodes]
    file = replace(network.file, seeds=tuple(places))
    async with Client.open(tmp_path, network=file, transport=network, create=True) as alice:
        await alice.new_account()
        assert (await alice.send(alice.account_id, "a note")).receipt is not None


async def test_strangers_are_asked_for_directories_only_when_nobody_else_answers(
    network: FakeNetwork, join: Join
) -> None:
    alice = await join("Alice")
    await alice.prove_path()
    pinned = {network.directory.by_key[key].endpoints[0].host for key in alice.reach().paths.pinned()}
    turns = [{urlsplit(url).hostname for url in turn} for turn in alice.reach().directory._turns()]
    assert turns[0] | turns[1] == {"192.0.2.1", *pinned}
    assert all((turns[0] | turns[1]).isdisjoint(turn) for turn in turns[2:])
    assert len(turns) > 2
