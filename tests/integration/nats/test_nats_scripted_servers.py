"""The NATS client against scripted servers, for what a real one does not do on demand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.errors import (
    AuthenticationFailed,
    ProtocolViolation,
    Unavailable,
)
from services.chassis.nats.settings import NatsSettings

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

Connect = Callable[..., Awaitable[NatsConnection]]
WITHIN_S = 10.0

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
INFO = b'INFO {"max_payload":1000,"headers":true}\r\n'


@pytest.fixture
async def scripted() -> AsyncIterator[Callable[[Script], Awaitable[str]]]:
    """Return ``await scripted(script) -> url`` of a server that follows a script on every connection."""
    servers: list[asyncio.Server] = []
    tasks: set[asyncio.Task[None]] = set()

    async def start(script: Script) -> str:
        async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await script(reader, writer)
            except ConnectionError:
                pass
            finally:
                writer.close()
                tasks.discard(task)

        server = await asyncio.start_server(run, "127.0.0.1", 0)
        servers.append(server)
        return f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    yield start
    for server in servers:
        server.close()
    for task in tuple(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(INFO)
    while not (await reader.readline()).startswith(b"PING"):
        pass
    writer.write(b"PONG\r\n")


@pytest.mark.parametrize(
    "greeting",
    [b"", b"INFO", b"INFO {}\r\n", b"INFO []\r\n", b"INFO x\r\n", b"HTTP/1.1 400 Bad Request\r\n", b"\x00" * 70_000],
)
async def test_what_is_no_nats_server_is_refused_within_the_bound(
    scripted: Callable[[Script], Awaitable[str]], greeting: bytes
) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await reader.read()

    url = await scripted(script)
    with pytest.raises(Unavailable):
        await NatsConnection.connect(NatsSettings(servers=(url,), connect_timeout_s=0.3), on_fault=lambda _: None)


async def test_a_server_that_wants_a_key_says_so(scripted: Callable[[Script], Awaitable[str]]) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(INFO)
        await reader.readline()
        writer.write(b"-ERR 'Authorization Violation'\r\n")

    url = await scripted(script)
    with pytest.raises(AuthenticationFailed):
        await NatsConnection.connect(NatsSettings(servers=(url,)))


async def test_a_stream_that_cannot_be_understood_ends_in_a_new_connection(
    scripted: Callable[[Script], Awaitable[str]],
) -> None:
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await greet(reader, writer)
        if connections == 1:
            writer.write(b"MSG what is this\r\n")
        await reader.read()

    faults: list[Exception] = []
    settings = NatsSettings(servers=(await scripted(script),), close_timeout_s=0.1)
    async with await NatsConnection.connect(settings, faults.append) as connection:
        up = asyncio.Event()
        connection.on_reconnect(up.set)
        async with asyncio.timeout(WITHIN_S):
            await up.wait()
    assert isinstance(faults[0], ProtocolViolation)
    assert connections == 2


async def test_subscriptions_made_and_ended_during_a_handshake_are_not_forgotten(
    scripted: Callable[[Script], Awaitable[str]],
) -> None:
    greeted, go_on, told = asyncio.Event(), asyncio.Event(), asyncio.Event()
    connections = 0
    lines: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections == 1:
            await greet(reader, writer)
            return  # which ends the connection
        writer.write(INFO)
        while not (await reader.readline()).startswith(b"PING"):
            pass
        greeted.set()
        await go_on.wait()
        writer.write(b"PONG\r\n")
        while b"UNSUB" not in b"".join(lines) or b"SUB new" not in b"".join(lines):
            lines.append(await reader.readline())
        told.set()

    settings = NatsSettings(servers=(await scripted(script),), close_timeout_s=0.1)
    async with await NatsConnection.connect(settings, on_fault=lambda _: None) as connection:
        old = connection.subscribe("old", lambda *_: None)
        async with asyncio.timeout(WITHIN_S):
            await greeted.wait()
            connection.subscribe("new", lambda *_: None)
            connection.unsubscribe(old)
            go_on.set()
            await told.wait()


async def test_reconnecting_backs_off(scripted: Callable[[Script], Awaitable[str]]) -> None:
    times: list[float] = []
    refuse = False

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        times.append(time.monotonic())
        if not refuse:
            await greet(reader, writer)

    url = await scripted(script)
    settings = NatsSettings(servers=(url,), reconnect_first_s=0.05, reconnect_most_s=0.2, close_timeout_s=0.1)
    connection = await NatsConnection.connect(settings, on_fault=lambda _: None)
    refuse = True
    await asyncio.sleep(1.0)
    await connection.close()
    attempts = len(times) - 1
    assert 4 <= attempts <= 16, "at first quickly, then every 0.1 to 0.2 seconds"
