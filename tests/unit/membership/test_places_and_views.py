"""Networks of endpoints, and the node list that requests are answered from."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from naisho.protocol import ring
from naisho.protocol.directory import Endpoint, NodeState, Transport, network_of
from naisho.protocol.directory.model import VALIDITY_MS
from services.chassis.clock import ManualClock, sleep_unless
from services.swarm.adapters.directory_nodes import DirectoryNodes, contact_of

if TYPE_CHECKING:
    from .conftest import Paper


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("::ffff:192.0.2.1", "192.0.2.0/24"),
        ("node.example", None),
    ],
)
def test_the_network_that_a_host_counts_as(host: str, network: str | None) -> None:
    assert network_of(host) == network


def test_the_node_list_follows_the_directory_until_it_expires(paper: Paper, now_ms: int) -> None:
    joining = paper.node(3, state=NodeState.JOINING, swarm_id=ring.INVALID_SWARM, next_swarm_id=ring.swarm_id(0))
    away = paper.node(2, state=NodeState.UNREACHABLE)
    directory = paper.sign(paper.directory(paper.node(0), paper.node(1), away, joining))
    now = [now_ms]
    view = DirectoryNodes(paper.node(0).key, lambda: now[0])
    assert (view.own_swarm, view.height, view.active(), view.swarm_ids()) == (ring.INVALID_SWARM, 0, (), ())

    view.show(directory)
    assert {contact.ed25519 for contact in view.active()} == {paper.node(i).key for i in range(3)}
    assert view.own_swarm == ring.swarm_id(0)
    assert view.swarm_ids() == (ring.swarm_id(0),)
    assert view.members(ring.swarm_id(0)) == view.active()
    assert view.members(ring.swarm_id(1)) == ()
    (contact,) = [contact for contact in view.active() if contact.ed25519 == view.own_key]
    assert (contact.ip, contact.https_port, contact.quic_port) == ("10.0.0.1", 22021, 22021)
    assert contact.x25519 == paper.node(0).x25519

    now[0] += VALIDITY_MS
    assert (view.active(), view.swarm_ids(), view.members(ring.swarm_id(0))) == ((), (), ())
    assert (view.own_swarm, view.height) == (ring.INVALID_SWARM, 1)


def test_a_node_without_ipv4_is_not_in_the_wire_protocol_s_lists(paper: Paper) -> None:
    endpoints = (Endpoint(Transport.HTTPS, "2001:db8::1", 443), Endpoint(Transport.HTTPS, "node.example", 443))
    assert contact_of(paper.node(1, endpoints=endpoints)) is None
    both = (*endpoints, Endpoint(Transport.HTTPS, "192.0.2.9", 8443))
    contact = contact_of(paper.node(1, endpoints=both))
    assert contact is not None
    assert (contact.ip, contact.https_port) == ("192.0.2.9", 8443)


async def test_sleep_ends_with_the_event_or_the_time() -> None:
    clock, event = ManualClock(), asyncio.Event()
    by_event = asyncio.create_task(sleep_unless(event, clock, 10))
    await clock.wait_for_sleepers()
    event.set()
    await by_event
    event.clear()
    by_time = asyncio.create_task(sleep_unless(event, clock, 10))
    await clock.wait_for_sleepers()
    await clock.advance(9.9)
    assert not by_time.done()
    await clock.advance(0.2)
    await by_time
