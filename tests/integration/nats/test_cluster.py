"""Three servers in a cluster, with TLS and three copies: what their readers and writers notice of accidents."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from operators.membership.nats_jwt import user_jwt
from services.chassis.eventlog import jetstream_api as api
from services.chassis.eventlog.jetstream import JetStreamLog
from services.chassis.eventlog.jetstream_follower import FollowerBounds, JetStreamFollower
from services.chassis.eventlog.port import LogUnavailable
from services.chassis.eventlog.provision import StreamPlan, ensure_follower, ensure_stream
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.credentials import Credentials, trust_in
from services.chassis.nats.errors import Unavailable
from services.chassis.nats.names import NetworkNames
from services.chassis.nats.nkey import KeyOf, public_key
from tests.contract.eventlog.steady_writer import SteadyWriter
from tests.integration.nats.certificates import TestAuthority
from tests.integration.nats.cluster import MemberServer, NatsCluster

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])

#: Whoever was connected to a server that ended is connected to another one within this time.
RECONNECTED_WITHIN_S = 3.0
#: Without its leader a stream takes no event until another leads: elected once the lack is noticed (4 to 9 s) ...
ELECTED_WITHIN_S = 20.0
#: ... and by a server that ends in order the lead is handed over.
HANDED_OVER_WITHIN_S = 5.0
#: So many appended, a writer is taken to be at work again.
_EVENTS = 200


class Network:
    """One network on a cluster: its streams, and a node that appends and follows."""

    def __init__(self, cluster: NatsCluster) -> None:
        self.cluster = cluster
        self.names: NetworkNames = cluster.users.names
        self.opened: list[NatsConnection] = []
        self.authority: NatsConnection

    async def connect(self, user: str, **changes: Any) -> NatsConnection:
        settings = replace(self.cluster.settings(user, user.encode().ljust(32, b".")), **changes)
        connection = await NatsConnection.connect(settings, on_fault=lambda _: None)
        self.opened.append(connection)
        return connection

    async def log(self, user: str = "node-a", **changes: Any) -> JetStreamLog:
        bounds = FollowerBounds(heartbeat_s=0.2)
        connection = await self.connect(user, **changes)
        return await JetStreamLog.open(connection, self.names.mail_stream, follower_bounds=bounds)

    async def provide(self) -> None:
        self.authority = await self.connect("authority")
        plan = StreamPlan(
            name=self.names.mail_stream,
            subjects=(self.names.swarm,),
            max_bytes=100_000_000,
            max_event_bytes=100_000,
            replicas=3,
        )
        await ensure_stream(self.authority, plan)
        await ensure_follower(self.authority, plan.name, "node-a", [self.names.swarm])

    async def leader(self) -> MemberServer:
        """Return who leads the stream."""
        return self.cluster.leader(await api.inquire(self.authority, f"STREAM.INFO.{self.names.mail_stream}"))


@pytest.fixture
async def network(tmp_path: Path, network_id: str) -> AsyncIterator[Network]:
    cluster = NatsCluster(tmp_path / "cluster", network_id)
    made = Network(cluster)
    try:
        await cluster.start_async()
        await made.provide()
        yield made
    finally:
        for connection in made.opened:
            await connection.close()
        cluster.stop()


class Reader:
    """Follows, and keeps what it was given."""

    def __init__(self, follower: JetStreamFollower) -> None:
        self.followed: dict[int, bytes] = {}
        self.twice = 0
        self.position = 0
        self._follower = follower
        self._moved = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async for batch in self._follower:
            self.twice += len({event.sequence for event in batch.events} & self.followed.keys())
            self.followed |= {event.sequence: event.payload for event in batch.events}
            self.position = batch.position
            self._moved.set()

    async def reaches(self, sequence: int) -> None:
        async with asyncio.timeout(ELECTED_WITHIN_S):
            while self.position < sequence:
                self._moved.clear()
                await self._moved.wait()

    async def close(self) -> None:
        await self._follower.close()
        await self._task


async def check(network: Network, writer: SteadyWriter, reader: Reader) -> None:
    """Check that what was acknowledged is in the log, where it was said to be, and was followed once."""
    await writer.stop()
    newest = max(writer.acknowledged)
    await reader.reaches(newest)
    assert writer.acknowledged.items() <= reader.followed.items(), "none acknowledged is missing"
    assert reader.twice == 0
    log = await network.log("node-a")
    for sequence in (min(writer.acknowledged), newest):
        event = await log.read(sequence)
        assert event is not None
        assert event.payload == writer.acknowledged[sequence]
    await reader.close()


async def test_a_killed_leader_takes_nothing_acknowledged_with_it(network: Network) -> None:
    log = await network.log()
    identity = await log.identity()
    subject = network.names.mailbox(1, "ab" * 16)
    reader = Reader(log.follow("node-a", [network.names.swarm], after=0))
    writer = SteadyWriter(log, subject)
    await writer.until_acknowledged(_EVENTS, within_s=ELECTED_WITHIN_S)
    leader = await network.leader()
    leader.kill()
    newest = max(writer.acknowledged)
    await writer.until_acknowledged(_EVENTS, within_s=ELECTED_WITHIN_S)
    last = await log.last(subject)
    assert last is not None
    assert last.sequence >= newest, "whoever leads now knows all that was acknowledged"
    await leader.start_async()
    await network.cluster.until_whole()
    await writer.until_acknowledged(_EVENTS, within_s=ELECTED_WITHIN_S)
    found = await log.identity()
    assert found.incarnation == identity.incarnation
    await check(network, writer, reader)
    print(f"without its leader the stream took nothing for {writer.longest_gap_s:.1f} s")
    assert writer.longest_gap_s < ELECTED_WITHIN_S


async def test_servers_are_restarted_one_by_one_under_load(network: Network) -> None:
    log = await network.log()
    identity = await log.identity()
    reader = Reader(log.follow("node-a", [network.names.swarm], after=0))
    writer = SteadyWriter(log, network.names.mailbox(1, "ab" * 16))
    for server in network.cluster.servers:
        await writer.until_acknowledged(_EVENTS, within_s=ELECTED_WITHIN_S)
        await asyncio.to_thread(server.stop)
        await writer.until_acknowledged(_EVENTS, within_s=ELECTED_WITHIN_S)
        await server.start_async()
        await network.cluster.until_whole()
    await writer.until_acknowledged(_EVENTS, within_s=ELECTED_WITHIN_S)
    assert (await log.identity()).incarnation == identity.incarnation
    await check(network, writer, reader)
    print(f"the longest pause was {writer.longest_gap_s:.1f} s")
    assert writer.longest_gap_s < HANDED_OVER_WITHIN_S


async def test_clients_of_a_killed_server_are_soon_at_another(network: Network) -> None:
    victim, *_ = network.cluster.servers
    connections = [await network.connect("node-a") for _ in range(12)]
    there = [connection for connection in connections if at(connection, victim)]
    assert there, "twelve of them, by chance on three servers"
    back = [asyncio.Event() for _ in there]
    for connection, event in zip(there, back, strict=True):
        connection.on_reconnect(event.set)
    victim.kill()
    async with asyncio.timeout(RECONNECTED_WITHIN_S):
        for event in back:
            await event.wait()
    for connection in connections:
        assert not at(connection, victim)
        await connection.flush()


def at(connection: NatsConnection, server: MemberServer) -> bool:
    assert connection._link is not None
    port: int = connection._link.transport.get_extra_info("peername")[1]
    return port == server.config.port


T = TypeVar("T")


async def persistently(attempt: Callable[[], Awaitable[T]]) -> T:
    """Try until the log answers."""
    async with asyncio.timeout(ELECTED_WITHIN_S):
        while True:
            try:
                return await attempt()
            except LogUnavailable:
                await asyncio.sleep(0.1)


async def test_a_server_that_lost_its_disk_gets_everything_back(network: Network) -> None:
    log = await network.log()
    subject = network.names.mailbox(1, "ab" * 16)
    sequences = [await log.append(subject, b"%d" % number) for number in range(50)]
    leader = await network.leader()
    victim, other = [server for server in network.cluster.servers if server is not leader]
    victim.kill()
    shutil.rmtree(victim.config.store)
    await victim.start_async()
    await network.cluster.until_whole()
    other.kill()  # now the empty one is needed for a majority
    sequences.append(await persistently(lambda: log.append(subject, b"50")))
    leader.kill()
    await other.start_async()
    found = [await persistently(lambda sequence=sequence: log.read(sequence)) for sequence in sequences]  # type: ignore[misc]  # bound early
    assert [event.payload for event in found if event is not None] == [b"%d" % number for number in range(51)]


async def test_appends_wait_for_a_leader_and_are_stored_once(network: Network) -> None:
    """Those that are sent while nobody leads are not lost, and not refused, if another leads within their bound."""
    log = await JetStreamLog.open(await network.connect("node-a"), network.names.mail_stream, append_timeout_s=30.0)
    subject = network.names.mailbox(1, "ab" * 16)
    leader = await network.leader()
    here = network.opened[-1]
    back = asyncio.Event()
    here.on_reconnect(back.set)
    was_there = at(here, leader)
    leader.kill()
    if was_there:
        await back.wait()
    # Until the others notice, they pass events on to the dead leader.
    others = [server for server in network.cluster.servers if server is not leader]
    while any(knows(server, leader) for server in others):  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(0.01)
    results = await asyncio.gather(*(log.append(subject, b"%d" % number) for number in range(100)))
    assert len(set(results)) == 100
    assert (await log.identity()).last_sequence == max(results) == 100


def knows(server: MemberServer, other: MemberServer) -> bool:
    """Tell whether a server has a route to another one."""
    return other.config.server_name in {route.get("remote_name") for route in server.status("routez")["routes"]}


async def test_events_are_read_from_the_leader(network: Network) -> None:
    """A copy may be late: it answers direct requests all the same. Without the right to those nothing is missed."""
    users, seed = network.cluster.users, b"r" * 32
    rights = users.rights("node-r", seed)
    told = replace(rights, publish=tuple(call for call in rights.publish if "DIRECT" not in call))
    assert len(told.publish) < len(rights.publish)
    jwt = user_jwt(
        told,
        account=public_key(users.keys.account, KeyOf.ACCOUNT),
        signing_seed=users.keys.signing,
        name="reader",
        issued=int(time.time()),
    )
    log = await network.log("node-r", credentials=lambda: Credentials(seed, jwt))
    subject = network.names.mailbox(1, "ab" * 16)
    payload = bytes(range(256))
    sequence = await log.append(subject, payload)
    event = await log.last(subject)
    assert event is not None
    assert (event.sequence, event.subject, event.payload) == (sequence, subject, payload)
    assert await log.read(sequence) == await log.first_since(event.time_ns) == event
    assert await log.first_since(event.time_ns + 1) is None
    assert await log.read(sequence + 1) is None
    assert await log.last(network.names.mailbox(2, "ab" * 16)) is None


async def test_nobody_talks_to_a_server_without_tls_or_with_another_authority(network: Network, tmp_path: Path) -> None:
    settings = network.cluster.settings("node-a", b"n" * 32)
    with pytest.raises(Unavailable):
        await NatsConnection.connect(replace(settings, tls=None), on_fault=lambda _: None)
    TestAuthority.make().write(tmp_path / "stranger")
    with pytest.raises(Unavailable):
        await NatsConnection.connect(replace(settings, tls=trust_in(tmp_path / "stranger" / "ca.crt")))
    with pytest.raises(Unavailable):
        await NatsConnection.connect(replace(settings, tls_hostname="nats.example"))
    assert isinstance(trust_in(network.cluster.tls / "ca.crt")(), ssl.SSLContext)


async def test_a_server_of_another_authority_is_no_member(network: Network, tmp_path: Path) -> None:
    """The name of the cluster, its routes, the account's keys: all of it is known. A certificate is what it lacks."""
    stranger = network.cluster.another(tmp_path / "stranger")
    TestAuthority.make().write(stranger.member.tls)
    shutil.copy(network.cluster.tls / "ca.crt", stranger.member.tls)  # no secret: it trusts the others
    try:
        await stranger.start_async()
        await asyncio.sleep(2)  # it tries at once, and every second
        assert stranger.status("routez")["num_routes"] == 0
        for server in network.cluster.servers:
            assert not knows(server, stranger)
            assert sum(knows(server, member) for member in network.cluster.servers) == 2
    finally:
        stranger.stop()
    invited = network.cluster.another(tmp_path / "invited")
    shutil.copytree(network.cluster.tls, invited.member.tls)
    try:
        await invited.start_async()
        async with asyncio.timeout(10):
            while not invited.status("routez")["num_routes"]:  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(0.05)
    finally:
        invited.stop()
