"""Fifteen nodes and an authority, through what happens to networks."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from naisho.protocol import ring
from naisho.protocol.directory import NodeState, verify
from services.chassis.clock import SystemClock
from services.chassis.eventlog.provision import followers
from services.chassis.nats.names import NetworkNames

if TYPE_CHECKING:
    from .conftest import Lab


async def test_fifteen_nodes_become_two_swarms_of_three_families(lab: Lab) -> None:
    await lab.fill()
    directory = lab.nodes[0].membership.directory
    assert directory is not None
    assert sorted(len(directory.members(swarm)) for swarm in directory.swarm_ids) == [7, 8]
    for swarm in directory.swarm_ids:
        families = Counter(node.family for node in directory.members(swarm))
        assert len(families) == 3
        assert max(families.values()) <= 3
    now_ms = SystemClock().now_ms()
    assert verify(directory.signed, network=lab.network, now_ms=now_ms).nodes == directory.nodes
    view = lab.nodes[0].membership.nodes
    assert len(view.active()) == 15
    assert view.own_swarm in view.swarm_ids()
    assert view.height == directory.epoch

    names = NetworkNames(lab.network.network_id)
    connection = await lab.connect(lab.server)
    made = await followers(connection, names.mail_stream)
    assert made == sorted([names.custodian, *(node.key.hex() for node in lab.nodes)])


async def test_a_silent_node_is_unreachable_once_peers_confirm_and_comes_back(lab: Lab) -> None:
    await lab.fill()
    lost = lab.nodes[3]
    await lost.stop()
    lab.nodes[0].membership.report_peers([(lost.key, False)])
    lab.nodes[1].membership.report_peers([(lost.key, False)])
    directory = await lab.until(lambda d: d.by_key[lost.key].state is NodeState.UNREACHABLE)
    assert len(directory.active_nodes) == 14
    assert len(directory.listed_nodes) == 15, "it keeps its place"
    assert len(lab.nodes[0].membership.nodes.active()) == 15
    lab.nodes[0].membership.report_peers([(lost.key, True)])
    lab.nodes[1].membership.report_peers([(lost.key, True)])
    lost.start()
    again = await lab.until(lambda d: len(d.active_nodes) == 15)
    assert again.by_key[lost.key].swarm_id == directory.by_key[lost.key].swarm_id


async def test_a_drained_node_leaves_when_the_others_hold_everything(lab: Lab) -> None:
    await lab.fill()
    before = lab.nodes[0].membership.directory
    assert before is not None
    leaving = lab.nodes[7]
    swarm = before.by_key[leaving.key].swarm_id
    neighbour = next(n for n in lab.nodes if n is not leaving and before.by_key[n.key].swarm_id == swarm)
    neighbour.catches_up = False
    neighbour.membership.report(held=frozenset(), position=0, lag=5)
    await lab.authority.drain(leaving.key)
    await lab.until(lambda d: d.by_key[leaving.key].state is NodeState.DRAINING)
    assert leaving.key in (await lab.until(lambda d: d.epoch > before.epoch)).by_key
    neighbour.catches_up = True
    assert neighbour.membership.directory is not None
    neighbour.follow(neighbour.membership.directory)
    after = await lab.until(lambda d: leaving.key not in d.by_key)
    assert len(after.active_nodes) == 14
    assert after.swarm_ids == before.swarm_ids
    unmoved = [n for n in after.nodes if n.swarm_id == before.by_key[n.key].swarm_id]
    assert len(unmoved) == 14


async def test_a_new_authority_goes_on_where_the_last_one_stopped(lab: Lab) -> None:
    await lab.fill()
    before = lab.nodes[0].membership.directory
    assert before is not None
    while lab.authority.holding() != {node.key for node in lab.nodes}:  # noqa: ASYNC110 - heartbeats tell of it
        await asyncio.sleep(0.01)
    await lab.stop_authority()
    await lab.start_authority()
    assert lab.authority.holding() == frozenset(), "what the directory says is not yet what is there"
    newcomer = await lab.add_node(20)
    after = await lab.until(lambda d: newcomer.key in {n.key for n in d.active_nodes})
    assert after.epoch > before.epoch
    assert {n.key: n.swarm_id for n in before.nodes}.items() <= {n.key: n.swarm_id for n in after.nodes}.items()
    assert len(after.active_nodes) == 16


async def test_growing_makes_a_swarm_that_serves_only_when_it_holds_everything(lab: Lab) -> None:
    await lab.fill(15)
    before = lab.nodes[0].membership.directory
    assert before is not None
    for node in lab.nodes:
        node.catches_up = False
    for index in range(15, 18):
        (await lab.add_node(index)).catches_up = False
    planned = await lab.until(lambda d: len(d.planned_swarm_ids) == 3)
    assert planned.swarm_ids == before.swarm_ids
    assert len(planned.active_nodes) == 15
    movers = [n for n in planned.nodes if n.listed and n.next_swarm_id != ring.INVALID_SWARM]
    assert 0 < len(movers) <= 6
    for mover in movers:
        followed = planned.followed(mover.key)
        assert followed.main, "it serves its old swarm meanwhile"
    for node in lab.nodes:
        node.catches_up = True
        assert node.membership.directory is not None or node in lab.nodes[15:]
        if node.membership.directory is not None:
            node.follow(node.membership.directory)
    grown = await lab.until(lambda d: len(d.swarm_ids) == 3 and len(d.active_nodes) == 18)
    assert set(before.swarm_ids) < set(grown.swarm_ids)
    assert min(len(grown.members(swarm)) for swarm in grown.swarm_ids) >= 5
