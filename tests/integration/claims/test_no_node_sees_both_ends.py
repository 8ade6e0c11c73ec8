"""The first claim: no node's view holds both the sender's address and the recipient's mailbox.

A view is every byte that a node's process reads or writes behind TLS, what it opens, its log, its folder, and the whole
event log; each node is a process of its own, each client has an address of its own.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Mapping
from time import time_ns
from typing import NamedTuple

import httpx
import pytest

from naisho import Client, TextReceived
from naisho.protocol import recovery, ring
from naisho.protocol.account import AccountId, AccountKeys
from naisho.protocol.directory import Node, Transport
from naisho.protocol.onion.packet import HopKey, to_node
from tests.integration.claims import search
from tests.integration.claims.tapped_network import TappedNetwork, View

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]

Join = Callable[[str, str], Awaitable[Client]]
Http = Callable[[str], httpx.AsyncClient]
#: Paths that a client uses one after the other in these tests, each with another middle and exit.
PATHS = 6
DAY_MS = 24 * 3_600_000


class Sight(NamedTuple):
    """Where in one node's view an address and a mailbox are."""

    node: str
    address: set[str]
    mailbox: set[str]


def sights(
    network: TappedNetwork, since: Mapping[bytes, int], address: search.Trace, mailbox: search.Trace
) -> list[Sight]:
    """Search every node's view."""
    events = network.events()
    address_logged, mailbox_logged = address.places(events), mailbox.places(events)
    found = []
    for node in network.nodes():
        view = network.seen_by(node.key, since)
        found.append(
            Sight(
                network.name_of(node.key),
                address.places(view) | address_logged,
                mailbox.places(view) | mailbox_logged,
            )
        )
    return found


def both(found: list[Sight]) -> list[Sight]:
    """Return the sights that hold an address and a mailbox: what must not be."""
    return [sight for sight in found if sight.address and sight.mailbox]


def keys_of(client: Client) -> AccountKeys:
    return AccountKeys.from_seed(recovery.from_words(client.recovery_words()))


def members(network: TappedNetwork, account: AccountId) -> tuple[Node, ...]:
    directory = network.directory()
    swarm = ring.choose_swarm(ring.position(account.key), directory.swarm_ids)
    assert swarm is not None
    return directory.members(swarm)


def names(network: TappedNetwork, nodes: tuple[Node, ...]) -> set[str]:
    return {network.name_of(node.key) for node in nodes}


def store_params(account: AccountId, data: bytes) -> dict[str, object]:
    at = time_ns() // 1_000_000
    return {
        "pubkey": account.hex,
        "namespace": 0,
        "data": b64encode(data).decode(),
        "timestamp": at,
        "ttl": DAY_MS,
    }


async def test_no_view_holds_the_address_and_the_mailbox(
    network: TappedNetwork, join: Join, new_address: Callable[[], str]
) -> None:
    alice_address, bob_address = new_address(), new_address()
    alice, bob = await join("alice", alice_address), await join("bob", bob_address)
    alices, bobs = search.mailbox(keys_of(alice)), search.mailbox(keys_of(bob))

    # Alice writes to Bob.
    start = network.mark()
    hashes = []
    for number in range(PATHS):
        delivery = await alice.send(bob.account_id, f"a secret, part {number}")
        assert delivery.receipt is not None
        hashes.append(delivery.receipt.message_hash)
        await alice.poll()
        await alice.reach().paths.renew()
    found = sights(network, start, search.address(alice_address), bobs)
    assert both(found) == []
    # Nor, as long as she deletes nothing there, her own address and mailbox.
    assert both(sights(network, start, search.address(alice_address), alices)) == []

    # The search is not blind: it sees what must be there.
    know_address = {sight.node for sight in found if sight.address}
    know_mailbox = {sight.node for sight in found if sight.mailbox}
    pinned = {network.name_of(key) for key in alice.reach().paths.pinned()}
    assert pinned & know_address
    in_swarm = names(network, members(network, bob.account_id))
    assert know_mailbox
    assert know_mailbox <= in_swarm, "nobody outside of the swarm learns of the mailbox"
    follow_events = {
        network.name_of(node.key)
        for node in network.nodes()
        if all(search.raw(hash_bytes(one)).places(network.heard_by(node.key, start, "log in")) for one in hashes)
    }
    assert follow_events == in_swarm

    # Bob reads what Alice wrote, and answers.
    start = network.mark()
    texts = []
    for _ in range(PATHS):
        texts += [event.message.text for event in await bob.poll() if isinstance(event, TextReceived)]
        await bob.mark_read(alice.account_id, receipt=True)
        await bob.send(alice.account_id, "an answer")
        await bob.reach().paths.renew()
    assert texts == [f"a secret, part {number}" for number in range(PATHS)]
    found = sights(network, start, search.address(bob_address), bobs)
    assert both(found) == []
    assert any(sight.address for sight in found)
    assert any(sight.mailbox for sight in found)
    assert both(sights(network, start, search.address(bob_address), alices)) == []

    # Alice takes a message back: her own copy is deleted, and Bob is asked to delete his.
    start = network.mark()
    await alice.unsend(delivery.message.sent_ms)
    assert both(sights(network, start, search.address(alice_address), bobs)) == []


def hash_bytes(message_hash: str) -> bytes:
    """Return a message hash as events have it."""
    return b64decode(message_hash + "=")


async def test_known_limit_who_deletes_names_the_mailbox_to_its_swarm(
    network: TappedNetwork, join: Join, new_address: Callable[[], str]
) -> None:
    """Members sign what they deleted for whom; one that knows the address as a seed's or an entry's holds both."""
    carol = await join("carol", new_address())
    own = await carol.send(carol.account_id, "a note to myself")
    start = network.mark()
    await carol.unsend(own.message.sent_ms)
    in_swarm = names(network, members(network, carol.account_id))
    mailbox = search.mailbox(keys_of(carol))
    told = {network.name_of(node.key) for node in network.nodes() if mailbox.places(network.seen_by(node.key, start))}
    assert told == in_swarm
    assert {network.name_of(key) for key in carol.reach().paths.pinned()}.isdisjoint(in_swarm)


async def test_control_a_direct_store_is_caught(
    network: TappedNetwork, http: Http, new_address: Callable[[], str]
) -> None:
    address, keys = new_address(), AccountKeys.generate()
    node = members(network, keys.account_id)[0]
    start = network.mark()
    await store_directly(http(address), node, keys.account_id)
    caught = both(sights(network, start, search.address(address), search.mailbox(keys)))
    assert [sight.node for sight in caught] == [network.name_of(node.key)]
    assert at_rest(network, node, address, keys) == (False, False), "what it saw, it kept in memory"


async def test_control_a_node_that_logs_addresses_is_caught(
    network: TappedNetwork, http: Http, broken_for: str
) -> None:
    keys = AccountKeys.generate()
    node = members(network, keys.account_id)[0]
    await store_directly(http(broken_for), node, keys.account_id)
    assert at_rest(network, node, broken_for, keys) == (True, True)


async def test_control_an_entry_that_passes_addresses_on_is_caught(
    network: TappedNetwork, http: Http, broken_for: str
) -> None:
    keys = AccountKeys.generate()
    destination = members(network, keys.account_id)[0]
    hops = [node for node in network.nodes() if node.key != destination.key][:3]
    path = [HopKey(node.key, node.x25519) for node in (*hops, destination)]
    packet = to_node(path, "store", store_params(keys.account_id, b"sealed"))
    start = network.mark()
    answer = await http(broken_for).post(url(hops[0], "/onion_req/v2"), content=packet.data)
    assert packet.read(answer.content).status == 200
    caught = both(sights(network, start, search.address(broken_for), search.mailbox(keys)))
    assert network.name_of(destination.key) in {sight.node for sight in caught}


async def store_directly(client: httpx.AsyncClient, node: Node, account: AccountId) -> None:
    body = {"method": "store", "params": store_params(account, b"sealed")}
    answer = await client.post(url(node, "/storage_rpc/v1"), json=body)
    assert answer.status_code == 200


def at_rest(network: TappedNetwork, node: Node, address: str, keys: AccountKeys) -> tuple[bool, bool]:
    """Tell whether an address, and whether a mailbox, lies in a node's log or folder."""
    view: View = network.at_rest_with(node.key)
    return bool(search.address(address).places(view)), bool(search.mailbox(keys).places(view))


def url(node: Node, path: str) -> str:
    place = node.endpoint(Transport.HTTPS)
    assert place is not None
    return f"https://{place.host}:{place.port}{path}"
