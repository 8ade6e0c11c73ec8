"""An authority, a custodian and three nodes, with the files that pods have, on three servers that come and go."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from naisho.protocol import network_file
from naisho.protocol.account import AccountKeys
from naisho.protocol.directory import Directory
from naisho.protocol.message_hash import message_hash, parse_hash
from naisho.protocol.network_file import NetworkFile
from naisho.protocol.signing import SigningKey
from operators.membership.keys import MAILBOX, create_keys
from operators.membership.settings import MembershipServiceSettings, NatsAccess, StreamSettings
from operators.membership.standalone import MembershipService
from services.chassis.certificates import Identity
from services.chassis.clock import SystemClock
from services.chassis.hosting import running
from services.chassis.settings import Address, Duration, Secret, Size
from services.swarm.bootstrap import SwarmService
from services.swarm.custodian import CustodianService, CustodySettings
from services.swarm.domain.commands import Delete, Store
from services.swarm.domain.ports import Refused
from services.swarm.settings import AboutNode, NatsUserSettings, SwarmSettings
from tests.integration.nats.cluster import MemberServer, NatsCluster

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])

NODES = 3
MIB = 1024 * 1024
#: A message that is refused is sent again; it is accepted within this time whatever happens to one server.
ACCEPTED_WITHIN_S = 20.0
WHOLE_WITHIN_S = 30.0


class Installation:
    """One network's files, and the services that are made of them."""

    def __init__(self, folder: Path, cluster: NatsCluster) -> None:
        self.folder, self.cluster = folder, cluster
        self.clock = SystemClock()
        names = cluster.users.names
        root = create_keys(folder / "keys", network_id=names.network, now_ms=self.clock.now_ms())
        self.network_file = folder / "network.json"
        self.network_file.write_text(network_file.render(NetworkFile(names.network, (root,), simulated=True)))
        self.nodes = [self._node(number) for number in range(NODES)]
        self.authority = MembershipService(self._authority(), self.clock)
        self.custodian = CustodianService(self._custodian(), self.clock)

    def _user(self, user: str) -> tuple[Path, Path]:
        """Write what a user's Secret holds, and return where its key and its JWT are."""
        folder = self.folder / f"nats-{user[:8]}"
        folder.mkdir()
        seed = secrets.token_bytes(32)
        key, jwt = folder / "user.key", folder / "user.jwt"
        key.touch(mode=0o600)
        key.write_text(seed.hex())
        jwt.write_text(self.cluster.users.jwt(user, seed))
        return key, jwt

    def _nats(self, user: str) -> NatsUserSettings:
        key, jwt = self._user(user)
        return NatsUserSettings(self._servers, key, jwt, self.cluster.tls / "ca.crt")

    @property
    def _servers(self) -> tuple[str, ...]:
        return tuple(server.url for server in self.cluster.servers)

    def _authority(self) -> MembershipServiceSettings:
        key, jwt = self._user("authority")
        return MembershipServiceSettings(
            self.network_file,
            self.folder / "keys",
            nats=NatsAccess(self._servers, key, jwt, self.cluster.tls / "ca.crt"),
            streams=StreamSettings(Size(64 * MIB), Size(MIB), Size(8 * MIB), 3),
            private_addresses=True,
            swarm_minimum=NODES,
            swarm_ideal=NODES + 1,
            first_nodes=NODES,
            smallest_network=NODES,
        )

    def _custodian(self) -> CustodySettings:
        return CustodySettings(self.cluster.users.names.network, self.folder / "custodian", self._nats("custodian"))

    def _node(self, number: int) -> SwarmService:
        folder = self.folder / f"node-{number}"
        seed = secrets.token_bytes(32)
        name = SigningKey(seed).public.hex()
        Identity.make(name).write(folder / "hop")
        settings = SwarmSettings(
            self.network_file,
            Secret(seed.hex().encode()),
            Secret.read(self.folder / "keys" / MAILBOX),
            folder / "hop",
            folder / "store",
            AboutNode(Address("127.0.0.1", 20_000 + 2 * number), Address("127.0.0.1", 20_001 + 2 * number)),
            self._nats(name),
            heartbeat=Duration(0.5),
        )
        return SwarmService(settings, self.clock)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Run everything; what fails in the background fails the test."""
        async with running([self.authority, self.custodian, *self.nodes]):
            await self.whole()
            yield

    async def whole(self) -> None:
        """Wait until every node serves."""
        async with asyncio.timeout(WHOLE_WITHIN_S):
            for node in self.nodes:
                await node.lifecycle.wait_until(lambda lifecycle: lifecycle.ready)
                async with aclosing(node.membership.directories()) as directories:
                    async for _ in directories:
                        if len(self.directory(node).active_nodes) == NODES:
                            break

    @staticmethod
    def directory(node: SwarmService) -> Directory:
        assert node.membership.directory is not None
        return node.membership.directory


class Senders:
    """Store without pause, one at each node, sending again what is refused; keep what was acknowledged."""

    def __init__(self, installation: Installation) -> None:
        self.account = AccountKeys.generate().account_id.raw
        self.acknowledged: list[bytes] = []
        self.longest_s = 0.0
        self._nodes = installation.nodes
        self._clock = installation.clock
        self._stopped = False
        self._progress = asyncio.Event()
        self._tasks = [asyncio.create_task(self._run(number)) for number in range(NODES)]

    async def _run(self, number: int) -> None:
        count = 0
        while not self._stopped:
            count += 1
            data = b"%d from %d" % (count, number)
            began = time.monotonic()
            async with asyncio.timeout(ACCEPTED_WITHIN_S):
                while not await self._accepted(number, data):  # noqa: ASYNC110 - a pause between tries
                    await asyncio.sleep(0.05)
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            self.acknowledged.append(data)
            self._progress.set()

    async def _accepted(self, number: int, data: bytes) -> bool:
        now = self._clock.now_ms()
        hashed = parse_hash(message_hash(self.account, 0, data))
        command = Store(self.account, 0, hashed, data, now, now + 600_000)
        try:
            await self._nodes[number].runtime.mailboxes.execute(command)
        except Refused:
            return False
        return True

    async def go_on(self, messages: int = 30) -> None:
        wanted = len(self.acknowledged) + messages
        async with asyncio.timeout(2 * ACCEPTED_WITHIN_S):
            while len(self.acknowledged) < wanted:
                for task in self._tasks:
                    if task.done():
                        task.result()
                self._progress.clear()
                await self._progress.wait()

    async def stop(self) -> None:
        self._stopped = True
        await asyncio.gather(*self._tasks)


@pytest.fixture
async def installation(tmp_path: Path, network_id: str) -> AsyncIterator[Installation]:
    cluster = NatsCluster(tmp_path / "cluster", network_id)
    try:
        await cluster.start_async()
        yield Installation(tmp_path, cluster)
    finally:
        cluster.stop()


async def holding(node: SwarmService, account: bytes) -> set[bytes]:
    page = await node.runtime.mailboxes.read(account, 0, after=None, max_count=None, max_bytes=1 << 40)
    return {message.data for message in page.messages}


async def check_kept(installation: Installation, senders: Senders) -> None:
    """Check that every node holds what any node acknowledged, and that nobody thinks the log another one."""
    await installation.whole()
    for node in installation.nodes:
        end = (await node.runtime.mailboxes._log.identity()).last_sequence
        async with asyncio.timeout(WHOLE_WITHIN_S):
            await node.runtime.projection.reached(end)
        assert await holding(node, senders.account) >= set(senders.acknowledged)
        assert node.runtime.following.changed_logs == 0


async def test_nobody_falls_over_while_servers_are_restarted_one_by_one(installation: Installation) -> None:
    async with installation.serving():
        before = installation.directory(installation.nodes[0])
        senders = Senders(installation)
        for server in installation.cluster.servers:
            await senders.go_on()
            await asyncio.to_thread(server.stop)
            await senders.go_on()
            await server.start_async()
            await installation.cluster.until_whole()
        await senders.go_on()
        await senders.stop()
        await check_kept(installation, senders)
        after = installation.directory(installation.nodes[0])
        assert after.epoch == before.epoch, "nobody was called unreachable, nothing was planned anew"
        assert installation.authority.authority.holding() == {node.key for node in before.nodes}
    print(f"{len(senders.acknowledged)} stored; the longest took {senders.longest_s:.1f} s")


async def test_nobody_falls_over_when_the_leader_of_mail_is_killed(installation: Installation) -> None:
    async with installation.serving():
        senders = Senders(installation)
        await senders.go_on()
        stream = installation.cluster.users.names.mail_stream
        leader = next(server for server in installation.cluster.servers if leads(server, stream))
        leader.kill()
        await senders.go_on()
        await leader.start_async()
        await senders.go_on()
        await senders.stop()
        account, kept = senders.account, senders.acknowledged.pop(0)
        deleted = Delete(account, (parse_hash(message_hash(account, 0, kept)),))
        await installation.nodes[0].runtime.mailboxes.execute(deleted)
        await check_kept(installation, senders)
        for node in installation.nodes:
            assert kept not in await holding(node, account)
    print(f"{len(senders.acknowledged)} stored; the longest took {senders.longest_s:.1f} s")


def leads(server: MemberServer, stream: str) -> bool:
    """Tell whether a server leads a stream."""
    return any(
        found["name"] == stream and found["cluster"].get("leader") == server.config.server_name
        for account in server.status("jsz?accounts=true&streams=true")["account_details"]
        for found in account.get("stream_detail", ())
    )
