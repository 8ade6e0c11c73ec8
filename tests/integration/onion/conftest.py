"""Real nodes in one process: real TLS, real gRPC streams, a signed directory, and mailboxes that tests play."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import uvloop

from naisho.protocol import network_file
from naisho.protocol.account import ed25519_to_x25519
from naisho.protocol.directory import (
    Directory,
    Endpoint,
    Grade,
    Node,
    NodeState,
    Purpose,
    SigningKeys,
    Transport,
    delegate,
    sign_directory,
)
from naisho.protocol.directory.signatures import certificate_body, sign
from naisho.protocol.network_file import NetworkFile
from naisho.protocol.onion.packet import HopKey
from naisho.protocol.ring import swarm_id
from naisho.protocol.signing import SigningKey
from services.chassis.certificates import Identity
from services.chassis.hosting import running
from services.chassis.packed import Reply
from services.chassis.settings import Address, Duration, Secret
from services.onion.adapters.servers import Resolver
from services.onion.bootstrap import OnionService, bootstrap
from services.onion.settings import OnionSettings, ReachabilitySettings
from tests.networks import anonymous_tls

LOOPBACK = "127.0.0.1"
NETWORK = "n-lab"
DAY_MS = 24 * 3600 * 1000


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Production runs on uvloop, and so do these tests."""
    del config, item
    return {"uvloop": uvloop.new_event_loop}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class FakeMailbox:
    """Mailboxes that answer what a test says, and remember what they were asked."""

    def __init__(self) -> None:
        self.available = True
        self.calls: list[tuple[int, bytes]] = []
        self.reports: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue()
        self.directories: asyncio.Queue[bytes] = asyncio.Queue()
        self.answer: Callable[[int, bytes], Awaitable[Reply]] = self.echo

    async def echo(self, call: int, body: bytes) -> Reply:
        return Reply(200, b'{"call":%d,"bytes":%d}' % (call, len(body)))

    async def handle(self, call: int, body: bytes) -> Reply:
        self.calls.append((call, body))
        return await self.answer(call, body)

    async def watch_directory(self) -> AsyncIterator[bytes]:
        while True:
            yield await self.directories.get()
            self.directories.task_done()  # the one who asked comes back for the next

    async def report_peers(self, reports: Sequence[tuple[bytes, bool]]) -> None:
        for report in reports:
            self.reports.put_nowait(report)


@dataclass
class LabNode:
    """One node: its keys, its mailboxes, and the service once it runs."""

    seed: bytes
    identity: Identity
    mailbox: FakeMailbox
    settings: OnionSettings
    service: OnionService

    @property
    def key(self) -> bytes:
        return SigningKey(self.seed).public

    @property
    def hop_key(self) -> HopKey:
        return HopKey.from_ed25519(self.key)

    def listed(self, **changes: Any) -> Node:
        """Return the node as the directory lists it."""
        body = certificate_body(self.identity.certificate)
        node = Node(
            key=self.key,
            x25519=ed25519_to_x25519(self.key),
            endpoints=(
                Endpoint(Transport.HTTPS, LOOPBACK, self.service.https_port),
                Endpoint(Transport.HOP, LOOPBACK, self.service.hop_port),
            ),
            family="lab",
            country="JP",
            version=(2, 11, 0),
            state=NodeState.ACTIVE,
            swarm_id=swarm_id(0),
            certificate=self.identity.certificate,
            certificate_signature=sign(SigningKey(self.seed), Purpose.CERTIFICATE, NETWORK, body),
        )
        return replace(node, **changes)


@dataclass
class Lab:
    """A network of nodes in this process."""

    folder: Path
    stack: AsyncExitStack
    root: SigningKey = field(default_factory=lambda: SigningKey(b"\x01" * 32))
    signer: SigningKey = field(default_factory=lambda: SigningKey(b"\x02" * 32))
    nodes: list[LabNode] = field(default_factory=list)
    epoch: int = 0

    def __post_init__(self) -> None:
        keys = SigningKeys(NETWORK, (self.signer.public,), 1, now_ms() + 30 * DAY_MS, 1, 10_000)
        self.delegation = delegate(keys, [self.root])
        self.network_file = self.folder / "network.json"
        self.network_file.write_text(network_file.render(NetworkFile(NETWORK, (self.root.public,))))

    def build(self, secret: bytes, /, *, resolver: Resolver | None = None, **settings: Any) -> LabNode:
        """Make a node that does not run yet."""
        place = self.folder / f"node-{len(self.nodes)}"
        identity = Identity.make(SigningKey(secret).public.hex(), addresses=[LOOPBACK])
        identity.write(place)
        options: dict[str, Any] = {"reachability": ReachabilitySettings(interval=Duration(0))} | settings
        chosen = OnionSettings(
            network_file=self.network_file,
            node_key=Secret(secret.hex().encode()),
            certificate=place,
            https=Address(LOOPBACK, 0),
            hop=Address(LOOPBACK, 0),
            **options,
        )
        mailbox = FakeMailbox()
        return LabNode(secret, identity, mailbox, chosen, bootstrap(chosen, mailbox=mailbox, resolver=resolver))

    async def add(self, count: int = 1, *, secrets: Sequence[bytes] | None = None, **settings: Any) -> list[LabNode]:
        """Start nodes; they know no directory yet."""
        secrets = secrets or [bytes([0x40 + len(self.nodes) + i]) * 32 for i in range(count)]
        new = [self.build(secret, **settings) for secret in secrets]
        for node in new:
            self.nodes.append(node)
            await self.stack.enter_async_context(running([node.service], drain_seconds=1))
        return new

    def directory(self, nodes: Sequence[Node] | None = None, **changes: Any) -> Directory:
        """Sign a directory of a new epoch."""
        self.epoch += 1
        listed = nodes if nodes is not None else [node.listed() for node in self.nodes]
        directory = Directory(
            network_id=NETWORK,
            grade=Grade.SINGLE_OPERATOR,
            epoch=self.epoch,
            issued_ms=now_ms(),
            expires_ms=now_ms() + 7 * DAY_MS - 1000,
            previous=b"",
            nodes=tuple(sorted(listed, key=lambda node: node.key)),
        )
        return sign_directory(replace(directory, **changes), self.delegation, [self.signer])

    async def publish(self, directory: Directory | None = None) -> Directory:
        """Hand a directory to every node and wait until all use it."""
        directory = directory or self.directory()
        for node in self.nodes:
            node.mailbox.directories.put_nowait(directory.signed)
        for node in self.nodes:
            await node.mailbox.directories.join()
        return directory


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with AsyncExitStack() as stack:
        yield Lab(tmp_path, stack)


@dataclass
class Answer:
    """An HTTP response as a raw client reads it."""

    status: int
    headers: dict[str, str]
    body: bytes


class RawClient:
    """One HTTPS (or HTTP) connection, spoken by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int, *, tls: bool = True) -> RawClient:
        return cls(*await asyncio.open_connection(LOOPBACK, port, ssl=anonymous_tls() if tls else None))

    def send(self, method: str, target: str, body: bytes = b"", **headers: str) -> None:
        lines = [f"{method} {target} HTTP/1.1", "Host: node", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    async def read(self) -> Answer:
        async with asyncio.timeout(20):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head[:-4].split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            body = await self.reader.readexactly(int(headers["content-length"]))
        return Answer(int(first.split(" ")[1]), headers, body)

    async def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
        self.send(method, target, body, **headers)
        return await self.read()

    async def ended(self) -> bool:
        """Wait until the other side has closed."""
        async with asyncio.timeout(20):
            try:
                return await self.reader.read() == b""
            except OSError:
                return True

    def close(self) -> None:
        self.writer.close()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Awaitable[RawClient]]]:
    clients: list[RawClient] = []

    async def make(port: int, *, tls: bool = True) -> RawClient:
        client = await RawClient.connect(port, tls=tls)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.writer.transport.abort()


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Return a maker of ports that were free a moment ago."""

    def make() -> int:
        with socket.create_server((LOOPBACK, 0)) as probe:
            return int(probe.getsockname()[1])

    return make
