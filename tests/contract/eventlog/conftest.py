"""Three stages for one play: the memory adapter, a real JetStream, and a cluster of three with three copies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from operators.local.nats_server import NatsServer
from services.chassis.clock import ManualClock
from services.chassis.eventlog.jetstream import JetStreamLog
from services.chassis.eventlog.jetstream_follower import FollowerBounds
from services.chassis.eventlog.memory import MemoryLog
from services.chassis.eventlog.memory_stream import MemoryCopy, MemoryStream
from services.chassis.eventlog.port import Batch, EventLog, Follower, LoggedEvent
from services.chassis.eventlog.provision import StreamPlan, ensure_follower, ensure_stream
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.settings import NatsSettings
from tests.integration.nats.cluster import NatsCluster
from tests.integration.nats.signed_users import EVERYTHING

EVENT_LIMIT = 20_000
#: The bound of an append where its being kept is the point; elsewhere a busy machine gets time.
HASTY_S = 1.0
PATIENT_S = 20.0
#: The bound within which a test may wait for something to happen.
SOON_S = 20.0


class Stage(Protocol):
    """One log for one test, and the accidents that may befall it."""

    #: First token of all subjects.
    net: str

    async def log(self, *, in_flight: int = 4096, append_timeout_s: float = PATIENT_S) -> EventLog:
        """Connect once more."""
        ...

    async def follower_allowed(self, name: str, subjects: Sequence[str]) -> None:
        """Do what the authority does before a reader may follow."""
        ...

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, for expiries."""
        ...

    async def go_away(self, *, hard: bool = False) -> None:
        """Stop answering: in order, or as ``kill -9`` does."""
        ...

    async def come_back(self) -> None:
        """Answer again, with all that was acknowledged."""
        ...

    async def fall_silent(self) -> None:
        """Keep connections, answer nothing, and carry out what was asked once heard again."""
        ...

    async def speak_again(self) -> None:
        """End the silence."""
        ...

    async def keep_copy(self) -> None:
        """Keep a copy of the log as it is now."""
        ...

    async def put_copy_back(self) -> None:
        """Replace the log by the copy."""
        ...


class MemoryStage:
    def __init__(self, net: str, max_bytes: int) -> None:
        self.net = net
        self.clock = ManualClock()
        self.stream = MemoryStream(self.clock, max_bytes=max_bytes, event_limit=EVENT_LIMIT)
        self._copy: MemoryCopy | None = None

    async def log(self, *, in_flight: int = 4096, append_timeout_s: float = PATIENT_S) -> EventLog:
        return MemoryLog(self.stream, append_timeout_s=append_timeout_s, in_flight=in_flight)

    async def follower_allowed(self, name: str, subjects: Sequence[str]) -> None:
        pass

    async def pass_time(self, seconds: float) -> None:
        await self.clock.advance(seconds)

    async def go_away(self, *, hard: bool = False) -> None:
        del hard  # memory knows one way only
        self.stream.faults.away = True

    async def come_back(self) -> None:
        self.stream.faults.away = False
        self.stream.rouse()

    async def fall_silent(self) -> None:
        self.stream.faults.delay_s = 10 * HASTY_S

    async def speak_again(self) -> None:
        self.stream.faults.delay_s = 0

    async def keep_copy(self) -> None:
        self._copy = self.stream.copy()

    async def put_copy_back(self) -> None:
        assert self._copy is not None
        self.stream.restore(self._copy)


class JetStreamStage:
    replicas = 1

    def __init__(self, servers: Sequence[NatsServer], net: str, max_bytes: int, backup: Path) -> None:
        self.net = net
        self.servers = servers
        self.stream = f"TEST_{net}"
        self._max_bytes = max_bytes
        self._backup = backup
        self._connections: list[NatsConnection] = []
        self._logs: list[JetStreamLog] = []
        self._authority: NatsConnection | None = None

    async def open(self) -> None:
        self._authority = await self.connect()
        plan = StreamPlan(
            name=self.stream,
            subjects=(f"{self.net}.>",),
            max_bytes=self._max_bytes,
            max_event_bytes=EVENT_LIMIT,
            replicas=self.replicas,
        )
        await ensure_stream(self._authority, plan)

    async def close(self) -> None:
        for log in self._logs:
            await log.close()
        for connection in self._connections:
            await connection.close()

    async def connect(self) -> NatsConnection:
        settings = replace(self.settings(), ping_interval_s=0.5, request_timeout_s=PATIENT_S)
        connection = await NatsConnection.connect(settings, on_fault=lambda _: None)
        self._connections.append(connection)
        return connection

    def settings(self) -> NatsSettings:
        return NatsSettings(servers=tuple(server.url for server in self.servers))

    async def log(self, *, in_flight: int = 4096, append_timeout_s: float = PATIENT_S) -> EventLog:
        log = await JetStreamLog.open(
            await self.connect(),
            self.stream,
            append_timeout_s=append_timeout_s,
            in_flight=in_flight,
            follower_bounds=FollowerBounds(heartbeat_s=0.2, patience_s=5.0),
        )
        self._logs.append(log)
        return log

    async def follower_allowed(self, name: str, subjects: Sequence[str]) -> None:
        assert self._authority is not None
        await ensure_follower(self._authority, self.stream, name, subjects)

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def go_away(self, *, hard: bool = False) -> None:
        await asyncio.gather(*(asyncio.to_thread(server.kill if hard else server.stop) for server in self.servers))

    async def come_back(self) -> None:
        await self.start_servers()
        for connection in self._connections:
            await connection.until_connected()

    async def start_servers(self) -> None:
        (server,) = self.servers
        await server.start_async()

    async def fall_silent(self) -> None:
        for server in self.servers:
            server.pause()

    async def speak_again(self) -> None:
        for server in self.servers:
            server.resume()

    async def keep_copy(self) -> None:
        await self.go_away()
        for number, server in enumerate(self.servers):
            server.copy_store(self._backup / str(number))
        await self.come_back()

    async def put_copy_back(self) -> None:
        await self.go_away()
        for number, server in enumerate(self.servers):
            server.replace_store(self._backup / str(number))
        await self.come_back()


class ClusterStage(JetStreamStage):
    replicas = 3

    def __init__(self, cluster: NatsCluster, net: str, max_bytes: int, backup: Path) -> None:
        super().__init__(cluster.servers, net, max_bytes, backup)
        self._cluster = cluster

    def settings(self) -> NatsSettings:
        return self._cluster.settings(EVERYTHING, b"e" * 32)

    async def start_servers(self) -> None:
        await self._cluster.start_async()


@asynccontextmanager
async def opened(stage: JetStreamStage) -> AsyncIterator[JetStreamStage]:
    try:
        await stage.open()
        yield stage
    finally:
        await stage.close()


@pytest.fixture
def max_bytes() -> int:
    """The log's size limit; a test may override it with ``parametrize``."""
    return 64 * 1024 * 1024


@pytest.fixture(scope="session")
def nats_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    """Return the session's running cluster; never stop it."""
    cluster = NatsCluster(tmp_path_factory.mktemp("cluster"), "n-contract")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(params=["memory", "jetstream", "cluster"])
async def stage(
    request: pytest.FixtureRequest, network_id: str, max_bytes: int, tmp_path: Path
) -> AsyncIterator[Stage]:
    """Return a log on which no accident may befall the server: others use it, too."""
    if request.param == "memory":
        yield MemoryStage(network_id, max_bytes)
    elif request.param == "jetstream":
        server: NatsServer = request.getfixturevalue("nats_server")
        async with opened(JetStreamStage([server], network_id, max_bytes, tmp_path / "copy")) as jetstream:
            yield jetstream
    else:
        cluster: NatsCluster = request.getfixturevalue("nats_cluster")
        async with opened(ClusterStage(cluster, network_id, max_bytes, tmp_path / "copy")) as three:
            yield three


@pytest.fixture(params=["memory", "jetstream", "cluster"])
async def fragile_stage(
    request: pytest.FixtureRequest, network_id: str, max_bytes: int, tmp_path: Path
) -> AsyncIterator[Stage]:
    """Return a log of the test's own, for accidents."""
    if request.param == "memory":
        yield MemoryStage(network_id, max_bytes)
    elif request.param == "jetstream":
        server: NatsServer = request.getfixturevalue("nats_server_factory")()
        async with opened(JetStreamStage([server], network_id, max_bytes, tmp_path / "copy")) as jetstream:
            yield jetstream
    else:
        cluster = NatsCluster(tmp_path / "cluster", "n-contract")
        try:
            await cluster.start_async()
            async with opened(ClusterStage(cluster, network_id, max_bytes, tmp_path / "copy")) as three:
                yield three
        finally:
            cluster.stop()


Collect = Callable[..., Awaitable[list[LoggedEvent]]]


class Reader:
    """Follows in the background and keeps what it was given, checking the rules of a follower all the while."""

    def __init__(self, follower: Follower, after: int) -> None:
        self.follower = follower
        self.events: list[LoggedEvent] = []
        self.batches: list[Batch] = []
        self.position = after
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async for batch in self.follower:
            sequences = [event.sequence for event in batch.events]
            assert sequences == sorted(set(sequences)), "events must come in order, none twice"
            assert not sequences or (sequences[0] > self.position and sequences[-1] <= batch.position)
            assert batch.position > self.position, "a batch must move the position"
            self.position = batch.position
            self.events += batch.events
            self.batches.append(batch)
            self._changed.set()

    async def until(self, reached: Callable[[Reader], bool]) -> None:
        async with asyncio.timeout(SOON_S):
            while not reached(self):
                if self._task.done():
                    await self._task
                self._changed.clear()
                await self._changed.wait()

    async def payloads(self, count: int) -> list[bytes]:
        """Wait until so many events have come and return the payloads of all that have."""
        await self.until(lambda reader: len(reader.events) >= count)
        return [event.payload for event in self.events]

    async def close(self) -> None:
        await self.follower.close()
        await self._task


@pytest.fixture
async def read_along() -> AsyncIterator[Callable[..., Reader]]:
    """Return ``read_along(log, name, subjects, after=0) -> Reader``; all readers end with the test."""
    readers: list[Reader] = []

    def start(log: EventLog, name: str, subjects: Sequence[str], *, after: int = 0) -> Reader:
        reader = Reader(log.follow(name, subjects, after=after), after)
        readers.append(reader)
        return reader

    yield start
    for reader in readers:
        await reader.close()
