"""Nothing but neighbours' ciphertext ties a request at one hop to the same request at another (design 7.3).

Sixteen bytes that both a near and a far hop saw of one request, and of which no node saw even a half at any other time,
would be an identifier that travels with the request.

The answer is left out: the protocol has it pass every hop as the destination sealed it (wire 5.4), which the threat
model says and a test here states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import time_ns
from typing import NamedTuple

import httpx
import pytest

from naisho.protocol import ring
from naisho.protocol.account import AccountKeys
from naisho.protocol.directory import Node, Transport
from naisho.protocol.encoding import to_base64
from naisho.protocol.onion.packet import HopKey, to_node
from tests.integration.claims.tapped_network import REQUEST_EDGES, TappedNetwork

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]

Http = Callable[[str], httpx.AsyncClient]
#: The shortest thing that is taken for an identifier.
TOKEN_BYTES = 16
DAY_MS = 24 * 3_600_000


class Way(NamedTuple):
    """Entry, middle, exit and destination: four nodes of which only the last keeps the mailbox."""

    entry: Node
    middle: Node
    exit: Node
    destination: Node


class Carried(NamedTuple):
    """What the nodes of a way saw of one request, and what all nodes saw at other times."""

    reply: bytes
    #: By node key, the streams of its process.
    seen: Mapping[bytes, list[bytes]]
    otherwise: list[bytes]


def way_to(network: TappedNetwork, keys: AccountKeys) -> Way:
    directory = network.directory()
    swarm = ring.choose_swarm(ring.position(keys.account_id.key), directory.swarm_ids)
    assert swarm is not None
    inside = [node for node in directory.active_nodes if node.swarm_id == swarm]
    outside = [node for node in directory.active_nodes if node.swarm_id != swarm]
    entry, middle, exit_node = outside[:3]
    return Way(entry, middle, exit_node, inside[0])


async def carry(network: TappedNetwork, client: httpx.AsyncClient, way: Way, keys: AccountKeys) -> Carried:
    """Store a message over a way, then another, and return what its nodes saw of the first."""
    start = network.mark()
    reply = await store(client, way, keys, b"one message")
    seen = {node.key: heard(network, node.key, start) for node in way}
    since = network.mark()
    await store(client, way, keys, b"another message")
    otherwise = [data for node in network.nodes() for data in heard(network, node.key, since)]
    otherwise += [data for node in network.nodes() for data in heard(network, node.key, {}, until=start)]
    return Carried(reply, seen, otherwise)


async def store(client: httpx.AsyncClient, way: Way, keys: AccountKeys, data: bytes) -> bytes:
    """Store a message over a way and return the answer as the entry gave it."""
    at = time_ns() // 1_000_000
    params = {"pubkey": keys.account_id.hex, "data": to_base64(data), "timestamp": at, "ttl": DAY_MS}
    packet = to_node([HopKey(node.key, node.x25519) for node in way], "store", params)
    place = way.entry.endpoint(Transport.HTTPS)
    assert place is not None
    answer = await client.post(f"https://{place.host}:{place.port}/onion_req/v2", content=packet.data)
    assert packet.read(answer.content).status == 200
    return answer.content


def heard(
    network: TappedNetwork, key: bytes, since: Mapping[bytes, int], *, until: Mapping[bytes, int] | None = None
) -> list[bytes]:
    return list(network.heard_by(key, since, *REQUEST_EDGES, until=until).values())


def tokens(streams: Iterable[bytes], reply: bytes) -> set[bytes]:
    """Return every sixteen bytes that stand together in any stream, what is around an answer included."""
    parts = (part for stream in streams for part in stream.split(reply))
    return {part[at : at + TOKEN_BYTES] for part in parts for at in range(len(part) - TOKEN_BYTES + 1)}


def travelling(carried: Carried, one: Node, other: Node) -> set[bytes]:
    """Return what two nodes saw of a request, and no node at any other time.

    A piece of what every request says, with a digit or two of this one's own behind it, is none.
    """
    common = tokens(carried.seen[one.key], carried.reply) & tokens(carried.seen[other.key], carried.reply)
    return {token for token in common if not any(half in data for half in halves(token) for data in carried.otherwise)}


def halves(token: bytes) -> list[bytes]:
    """Return every eight bytes that stand together in a token."""
    return [token[at : at + TOKEN_BYTES // 2] for at in range(TOKEN_BYTES // 2 + 1)]


def strangers(way: Way) -> tuple[tuple[Node, Node], ...]:
    """Return the pairs of a way's nodes that do not speak to each other."""
    return (way.entry, way.exit), (way.entry, way.destination), (way.middle, way.destination)


async def test_no_identifier_is_seen_at_two_hops_that_are_no_neighbours(
    network: TappedNetwork, http: Http, new_address: Callable[[], str]
) -> None:
    keys = AccountKeys.generate()
    way = way_to(network, keys)
    client = http(new_address())
    await store(client, way, keys, b"one that opens the streams")
    carried = await carry(network, client, way, keys)
    for one, other in strangers(way):
        assert travelling(carried, one, other) == set()
    # The search is not blind: neighbours have the layer between them in common, and it is this request's own.
    for one, other in ((way.entry, way.middle), (way.middle, way.exit), (way.exit, way.destination)):
        assert len(travelling(carried, one, other)) > 100


async def test_control_an_identifier_that_travels_is_found(network: TappedNetwork, http: Http, broken_for: str) -> None:
    keys = AccountKeys.generate()
    way = way_to(network, keys)
    carried = await carry(network, http(broken_for), way, keys)
    for one, other in strangers(way):
        assert travelling(carried, one, other)


async def test_known_limit_an_answer_is_the_same_at_every_hop(
    network: TappedNetwork, http: Http, new_address: Callable[[], str]
) -> None:
    keys = AccountKeys.generate()
    way = way_to(network, keys)
    carried = await carry(network, http(new_address()), way, keys)
    assert all(any(carried.reply in stream for stream in carried.seen[node.key]) for node in way)
