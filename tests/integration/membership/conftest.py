"""An authority and nodes that hold no mail, on a real NATS server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import pytest

from naisho.protocol.account import ed25519_to_x25519
from naisho.protocol.directory import Directory, Endpoint, Node, NodeState, Transport
from naisho.protocol.directory.statements import sign_certificate
from naisho.protocol.network_file import NetworkFile
from naisho.protocol.signing import SigningKey
from operators.local.nats_server import NatsServer
from operators.membership.authority import Authority, AuthoritySettings
from operators.membership.domain.policy import Policy
from operators.membership.keys import create_keys, read_keys
from operators.membership.streams import MIB, StreamSizes
from services.chassis.certificates import Identity
from services.chassis.clock import Clock, SystemClock
from services.chassis.nats.connection import NatsConnection
from services.swarm.adapters.membership import Membership, MembershipSettings

STREAMS = StreamSizes(mail_bytes=16 * MIB, keys_bytes=MIB, membership_bytes=16 * MIB)
POLICY = Policy(first_nodes=15, private_addresses=True, missed_ms=1200)
NODE_SETTINGS = MembershipSettings(heartbeat_s=0.3, announce_most_s=0.5, look_s=1.0)
Connect = Callable[..., Awaitable[NatsConnection]]


class SkewedClock(SystemClock):
    """A clock that is off."""

    def __init__(self, off_ms: int) -> None:
        self.off_ms = off_ms

    def now_ms(self) -> int:
        return super().now_ms() + self.off_ms


def node_signer(network: NetworkFile, index: int) -> SigningKey:
    return SigningKey(sha256(f"{network.network_id} {index}".encode()).digest())


class PaperNode:
    """A node without mail: it holds whatever the directory wants as soon as it hears of it."""

    def __init__(
        self,
        index: int,
        network: NetworkFile,
        connection: NatsConnection,
        *,
        clock: Clock,
        cache: Path | None = None,
        settings: MembershipSettings = NODE_SETTINGS,
    ) -> None:
        self.signer = node_signer(network, index)
        self.key = self.signer.public
        identity = Identity.make(self.key.hex())
        self.node = Node(
            key=self.key,
            x25519=ed25519_to_x25519(self.key),
            endpoints=(
                Endpoint(Transport.HTTPS, "127.0.0.1", 20_000 + 2 * index),
                Endpoint(Transport.HOP, "127.0.0.1", 20_001 + 2 * index),
            ),
            family=("aoi", "bergen", "citrus")[index % 3],
            country=("JP", "NO", "PT")[index % 3],
            version=(2, 11, 0),
            state=NodeState.JOINING,
            certificate=identity.certificate,
            certificate_signature=sign_certificate(identity.certificate, self.signer, network_id=network.network_id),
        )
        self.membership = Membership(
            connection,
            node=self.node,
            signer=self.signer,
            network=network,
            clock=clock,
            settings=settings,
            cache=cache,
        )
        self.catches_up = True
        self.membership.on_directory(self.follow)
        self._task: asyncio.Task[None] | None = None

    def follow(self, directory: Directory) -> None:
        if self.catches_up:
            self.membership.report(held=directory.followed(self.key).all, position=7, lag=0)

    def start(self) -> None:
        self._task = asyncio.create_task(self.membership.run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None


@dataclass
class Lab:
    """One network."""

    network: NetworkFile
    keys: Path
    connect: Connect
    server: NatsServer
    policy: Policy = POLICY
    #: NATS settings of the authority's and the nodes' users, where the server has users.
    as_authority: dict[str, object] = field(default_factory=dict)
    as_node: Callable[[bytes], dict[str, object]] = lambda _key: {}
    settings: AuthoritySettings = field(
        default_factory=lambda: AuthoritySettings(tick_s=0.2, pace_s=0.05, streams=STREAMS)
    )
    clock: Clock = field(default_factory=SystemClock)
    nodes: list[PaperNode] = field(default_factory=list)
    running: list[tuple[Authority, asyncio.Task[None]]] = field(default_factory=list)

    @property
    def authority(self) -> Authority:
        """The one started last."""
        return self.running[-1][0]

    async def start_authority(self) -> Authority:
        connection = await self.connect(self.server, **self.as_authority)
        authority = Authority(
            connection,
            network=self.network,
            keys=lambda: read_keys(self.keys, network=self.network, now_ms=self.clock.now_ms()),
            policy=self.policy,
            clock=self.clock,
            settings=self.settings,
        )
        await authority.start()
        self.running.append((authority, asyncio.create_task(authority.run())))
        return authority

    async def stop_authority(self, which: int = -1) -> None:
        authority, task = self.running.pop(which)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await authority.stop()

    async def add_node(
        self,
        index: int,
        *,
        clock: Clock | None = None,
        cache: Path | None = None,
        start: bool = True,
        settings: MembershipSettings = NODE_SETTINGS,
    ) -> PaperNode:
        node = PaperNode(
            index,
            self.network,
            await self.connect(self.server, **self.as_node(node_signer(self.network, index).public)),
            clock=clock or self.clock,
            cache=cache,
            settings=settings,
        )
        self.nodes.append(node)
        if start:
            node.start()
        return node

    async def fill(self, count: int = 15) -> None:
        self.policy = replace(self.policy, first_nodes=count)
        await self.start_authority()
        for index in range(count):
            await self.add_node(index)
        filled = await self.until(lambda d: len(d.active_nodes) == count)
        kept = asyncio.Event()
        self.authority.on_directory(lambda _: kept.set())
        while self.authority.directory != filled:  # nodes may hear of it before its maker knows that it is kept
            kept.clear()
            await kept.wait()

    async def until(self, holds: Callable[[Directory], bool], *, node: PaperNode | None = None) -> Directory:
        """Wait until a node has a directory of which something holds."""
        watched = (node or self.nodes[0]).membership
        async with contextlib.aclosing(watched.directories()) as directories:
            async for _ in directories:
                directory = watched.directory
                assert directory is not None
                if holds(directory):
                    return directory
        raise AssertionError

    async def close(self) -> None:
        for node in self.nodes:
            await node.stop()
        while self.running:
            await self.stop_authority()


@pytest.fixture
def skewed() -> Callable[[int], Clock]:
    return SkewedClock


@pytest.fixture
async def make_lab(
    network_id: str, nats_server: NatsServer, nats_connect: Connect, tmp_path: Path
) -> AsyncIterator[Callable[..., Lab]]:
    labs: list[Lab] = []

    def make(**changes: object) -> Lab:
        keys = tmp_path / f"keys-{len(labs)}"
        root = create_keys(keys, network_id=network_id, now_ms=SystemClock().now_ms())
        lab = Lab(NetworkFile(network_id, (root,)), keys, nats_connect, nats_server)
        for name, value in changes.items():
            setattr(lab, name, value)
        labs.append(lab)
        return lab

    yield make
    for lab in labs:
        await lab.close()


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    return make_lab()
