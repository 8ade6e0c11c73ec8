"""Members of one swarm in this process, each with a store of its own, on a real nats-server."""

from __future__ import annotations

import asyncio
import contextlib
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from naisho.protocol import ring
from naisho.protocol.account import AccountKeys
from naisho.protocol.message_hash import message_hash, parse_hash
from naisho.protocol.signing import SigningKey, verify
from operators.local.nats_server import NatsServer
from operators.membership.streams import StreamSizes, stream_plans
from services.chassis.clock import Clock, SystemClock
from services.chassis.eventlog.jetstream import JetStreamLog
from services.chassis.eventlog.provision import ensure_follower, ensure_stream
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.names import NetworkNames
from services.swarm.adapters.following import Wanted
from services.swarm.adapters.runtime import MailRuntime, RuntimeSettings
from services.swarm.adapters.store.local import LocalStore
from services.swarm.domain.commands import Store
from services.swarm.domain.ports import MemberAnswer, SwarmAnswer

SWARM = ring.swarm_id(0)
SHARDS = frozenset(range(ring.SHARDS))
MIB = 1024 * 1024
Connect = Callable[..., Awaitable[NatsConnection]]
MakeStore = Callable[..., Store]
CheckReceipts = Callable[[SwarmAnswer, Callable[[MemberAnswer], bytes]], None]


class Member:
    """One node's mail."""

    def __init__(self, swarm: Swarm, number: int) -> None:
        self.swarm = swarm
        self.key = SigningKey(bytes([number + 1]) * 32)
        self.hex = self.key.public.hex()
        self.folder = swarm.folder / f"member-{number}"
        self._task: asyncio.Task[None] | None = None
        self.connection: NatsConnection
        self.runtime: MailRuntime

    async def start(self, *, wait: bool = True, told: bool = True) -> None:
        """Begin; ``told`` says whether it knows at once what it is to hold."""
        swarm = self.swarm
        self.connection = await swarm.connect(swarm.server)
        self.mail = await JetStreamLog.open(self.connection, swarm.names.mail_stream)
        self.keys = await JetStreamLog.open(self.connection, swarm.names.keys_stream)
        self.store = await LocalStore.open(self.folder, swarm.settings.mailboxes.retention)
        self.runtime = MailRuntime(
            store=self.store,
            mail=self.mail,
            keys=self.keys,
            connection=self.connection,
            names=swarm.names,
            node_key=self.key,
            mailbox_key=b"m" * 32,
            members=lambda: swarm.listed,
            clock=swarm.clock,
            settings=swarm.settings,
        )
        self.runtime.post.join(SWARM)
        if told:
            self.runtime.following.want(Wanted(SHARDS))
        self.connection.on_reconnect(self.runtime.following.begin_again)
        self._task = asyncio.create_task(self.runtime.run())
        if wait:
            await self.caught_up()

    async def caught_up(self) -> None:
        await until(self.whole)

    def whole(self) -> bool:
        """Tell whether the member holds everything, and nothing of the log is missing."""
        if self._task is not None and self._task.done():
            self._task.result()
        following = self.runtime.following
        return following.held == SHARDS and not following.mending

    async def stop(self) -> None:
        if self._task is None:
            return
        task, self._task = self._task, None
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await self.mail.close()
        await self.keys.close()
        await self.store.close()
        await self.connection.close()

    async def messages(self, account: bytes, namespace: int = 0) -> list[bytes]:
        page = await self.runtime.mailboxes.read(account, namespace, after=None, max_count=None, max_bytes=1 << 40)
        return [message.data for message in page.messages]

    async def level(self) -> None:
        """Wait until this member has folded all that the log has now."""
        end = (await self.mail.identity()).last_sequence
        async with asyncio.timeout(20):
            await self.runtime.projection.reached(end)


@dataclass
class Swarm:
    """All members, and the log they share."""

    server: NatsServer
    connect: Connect
    names: NetworkNames
    folder: Path
    settings: RuntimeSettings = field(default_factory=RuntimeSettings)
    clock: Clock = field(default_factory=SystemClock)
    members: list[Member] = field(default_factory=list)

    @property
    def listed(self) -> Sequence[str]:
        return [member.hex for member in self.members]

    async def start(self, count: int = 3) -> list[Member]:
        await self.provision(count)
        self.members = [Member(self, number) for number in range(count)]
        for member in self.members:
            await member.start()
        return self.members

    async def provision(self, count: int) -> None:
        authority = await self.connect(self.server)
        for plan in stream_plans(self.names, StreamSizes(256 * MIB, MIB, MIB)):
            await ensure_stream(authority, plan)
        for stream, subject in (
            (self.names.mail_stream, self.names.swarm),
            (self.names.keys_stream, self.names.keys),
        ):
            await ensure_follower(authority, stream, self.names.custodian, [subject])
        for number in range(count):
            name = self.names.followers(SigningKey(bytes([number + 1]) * 32).public.hex())[0]
            subjects = self.names.shards(SHARDS)
            await ensure_follower(authority, self.names.mail_stream, name, subjects)

    async def open_logs(self) -> tuple[JetStreamLog, JetStreamLog]:
        """Return the logs of mail and of keys, on a connection of their own."""
        connection = await self.connect(self.server)
        mail = await JetStreamLog.open(connection, self.names.mail_stream)
        return mail, await JetStreamLog.open(connection, self.names.keys_stream)

    async def bounce(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Stop the server, do something, start it, and wait until everybody is connected again."""
        back = [asyncio.Event() for _ in self.members]
        for member, event in zip(self.members, back, strict=True):
            member.connection.on_reconnect(event.set)
        self.server.stop()
        meanwhile()
        self.server.start()
        async with asyncio.timeout(20):
            for event in back:
                await event.wait()

    async def stop(self) -> None:
        for member in self.members:
            await member.stop()


async def until(holds: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait until something holds that nobody tells of."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - as said
            await asyncio.sleep(0.01)


@pytest.fixture
def make_swarm(nats_connect: Connect, network_id: str, tmp_path: Path) -> Callable[..., Swarm]:
    """Return a maker of swarms; whoever makes one stops it."""

    def make(server: NatsServer, settings: RuntimeSettings | None = None) -> Swarm:
        return Swarm(server, nats_connect, NetworkNames(network_id), tmp_path, settings or RuntimeSettings())

    return make


@pytest.fixture
async def swarm(make_swarm: Callable[..., Swarm], nats_server: NatsServer) -> AsyncIterator[Swarm]:
    """Return a swarm on the session's server, not started yet."""
    made = make_swarm(nats_server)
    yield made
    await made.stop()


@pytest.fixture
def account() -> bytes:
    return AccountKeys.generate().account_id.raw


@pytest.fixture
def make_store(swarm: Swarm) -> MakeStore:
    """Return a maker of commands that deposit a message now."""

    def make(account: bytes, data: bytes, *, namespace: int = 0, ttl_ms: int = 60_000) -> Store:
        now = swarm.clock.now_ms()
        return Store(account, namespace, parse_hash(message_hash(account, namespace, data)), data, now, now + ttl_ms)

    return make


@pytest.fixture
def check_receipts(swarm: Swarm) -> CheckReceipts:
    """Return a check that every member has answered, and signed what the text says."""

    def check(answer: SwarmAnswer, text: Callable[[MemberAnswer], bytes]) -> None:
        assert answer.members.keys() == set(swarm.listed)
        for key, result in answer.members.items():
            assert not result.get("failed"), result
            assert verify(bytes.fromhex(key), text(result), b64decode(result["signature"])), "a receipt does not verify"

    return check


@pytest.fixture(name="until")
def _until() -> Callable[..., Awaitable[None]]:
    """Return ``async until(holds, within_s=20)``."""
    return until
