"""Networks without their authority, without NATS, without memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from naisho.protocol.directory import Freshness
from naisho.protocol.ring import INVALID_SWARM
from operators.local.nats_config import NatsConfig, network_account
from operators.local.nats_server import NatsServer, free_port
from operators.membership.nats_rights import inbox_prefix
from services.chassis.clock import ManualClock
from services.chassis.eventlog.provision import followers
from services.chassis.nats import nkey
from services.chassis.nats.credentials import known_key
from services.chassis.nats.names import NetworkNames
from services.swarm.adapters.membership import Membership, MembershipSettings

if TYPE_CHECKING:
    from .conftest import Lab, PaperNode

HOUR_S = 3600


async def test_nodes_go_on_for_days_without_an_authority(lab: Lab) -> None:
    """By the real clock a network is made; a made-up one then shows a node what time does to its directory."""
    await lab.fill(5)
    made = lab.nodes[0].membership.directory
    assert made is not None
    await lab.stop_authority()
    clock = ManualClock(made.issued_ms)
    seldom = MembershipSettings(heartbeat_s=1800, look_s=3600)
    node = await lab.add_node(0, clock=clock, start=False, settings=seldom)
    membership = node.membership
    assert membership._belief.learn(made.signed)
    running = asyncio.create_task(membership.run())
    try:
        for hours, freshness, serves in (
            (1, Freshness.FRESH, True),
            (24, Freshness.FRESH, True),
            (27, Freshness.STALE, True),
            (72, Freshness.STALE, True),
            (167, Freshness.STALE, True),
            (169, Freshness.EXPIRED, False),
        ):
            await clock.advance(hours * HOUR_S - clock.monotonic())
            assert membership.freshness is freshness
            assert bool(membership.nodes.active()) is serves
            assert bool(membership.nodes.swarm_ids()) is serves
            assert (membership.nodes.own_swarm != INVALID_SWARM) is serves
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait for something that happens in another thread or on a disk, where no event tells of it."""
    for _ in range(2000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError


async def test_a_restarted_node_remembers_the_newest_directory(lab: Lab, tmp_path: Path) -> None:
    await lab.fill(5)
    cache = tmp_path / "directory"
    kept = await lab.add_node(5, cache=cache)
    newest = await lab.until(lambda d: kept.key in {n.key for n in d.active_nodes}, node=kept)
    await eventually(lambda: cache.exists() and cache.read_bytes() == newest.signed)
    await kept.stop()
    await lab.stop_authority()

    again = await lab.add_node(5, cache=cache, start=False)
    await again.membership._belief.recall()
    assert again.membership.directory == newest
    cache.write_bytes(b"rubbish")
    fresh = await lab.add_node(5, cache=cache, start=False)
    await fresh.membership._belief.recall()
    assert fresh.membership.directory is None


async def test_restarting_nats_leaves_everybody_where_he_was(
    make_lab: Callable[..., Lab], nats_server_factory: Callable[[], NatsServer]
) -> None:
    server = nats_server_factory()
    lab = make_lab(server=server)
    await lab.fill(5)
    before = lab.nodes[0].membership.directory
    assert before is not None
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    newcomer = await lab.add_node(9)
    after = await lab.until(lambda d: newcomer.key in {n.key for n in d.active_nodes})
    assert all(after.by_key[n.key].state is n.state for n in before.nodes), "nobody is blamed for the silence"
    assert {n.key: n.swarm_id for n in before.nodes}.items() <= {n.key: n.swarm_id for n in after.nodes}.items()


async def test_a_log_that_was_lost_is_written_again(
    make_lab: Callable[..., Lab], nats_server_factory: Callable[[], NatsServer], tmp_path: Path
) -> None:
    server = nats_server_factory()
    lab = make_lab(server=server)
    await lab.fill(5)
    before = lab.nodes[0].membership.directory
    assert before is not None
    await asyncio.to_thread(server.kill)
    empty = tmp_path / "empty"
    empty.mkdir()
    server.replace_store(empty)
    await asyncio.to_thread(server.start)
    newcomer = await lab.add_node(9)
    after = await lab.until(lambda d: newcomer.key in {n.key for n in d.active_nodes})
    assert after.epoch > before.epoch
    assert len(after.active_nodes) == 6
    connection = await lab.connect(server)
    names = NetworkNames(lab.network.network_id)
    wanted = {node.key.hex() for node in after.active_nodes}
    while not wanted <= set(await followers(connection, names.mail_stream)):
        assert lab.authority.directory is not None


async def test_the_users_rights_are_enough(
    make_lab: Callable[..., Lab], nats_server_factory: Callable[..., NatsServer]
) -> None:
    """Authority and nodes under the permissions that a network gives them, drain and growth included."""
    lab = make_lab()
    names = NetworkNames(lab.network.network_id)
    authority, custodian = b"a" * 32, b"c" * 32
    nodes = {node.key: bytes([index]) * 32 for index, node in enumerate(await _unconnected(lab, 6), 1)}

    def configure(directory: Path) -> NatsConfig:
        account = network_account(
            names,
            authority=nkey.public_key(authority),
            custodian=nkey.public_key(custodian),
            nodes={key.hex(): nkey.public_key(seed) for key, seed in nodes.items()},
            max_store_bytes=1 << 30,
        )
        return NatsConfig(
            server_name="rights",
            port=free_port(),
            store=directory / "store",
            log=directory / "log",
            max_store_bytes=1 << 31,
            accounts=(account,),
        )

    lab.server = nats_server_factory(configure)
    lab.as_authority = {"credentials": known_key(authority), "inbox_prefix": inbox_prefix("authority")}
    lab.as_node = lambda key: {"credentials": known_key(nodes[key]), "inbox_prefix": inbox_prefix(key.hex())}
    await lab.fill(6)
    leaving = lab.nodes[5]
    lab.policy = replace(lab.policy, smallest_network=5)
    await lab.authority.drain(leaving.key, force=True)
    await lab.until(lambda d: leaving.key not in d.by_key)


async def _unconnected(lab: Lab, count: int) -> list[PaperNode]:
    nodes = [await lab.add_node(index, start=False) for index in range(count)]
    lab.nodes.clear()
    return nodes


async def test_slow_readers_of_the_directory_get_the_newest(lab: Lab) -> None:
    await lab.fill(3)
    membership: Membership = lab.nodes[0].membership
    reader = membership.directories()
    first = await anext(reader)
    for index in range(3, 6):
        newcomer = await lab.add_node(index)
        await lab.until(lambda d, key=newcomer.key: key in {n.key for n in d.active_nodes})  # type: ignore[misc]  # bound early
    second = await anext(reader)
    assert membership.directory is not None
    assert first != second == membership.directory.signed
    await reader.aclose()
    assert not membership._belief._watchers
