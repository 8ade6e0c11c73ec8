"""The NATS client against a real server, and against scripted ones for what a real one does not do on demand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from operators.local.nats_server import NatsServer, free_port
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.errors import (
    AuthenticationFailed,
    Congested,
    NoResponders,
    PayloadTooLarge,
    ProtocolViolation,
    RequestTimedOut,
    Unavailable,
)
from services.chassis.nats.settings import NatsSettings

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

Connect = Callable[..., Awaitable[NatsConnection]]
WITHIN_S = 10.0


def echo(connection: NatsConnection) -> Callable[..., None]:
    def answer(_subject: bytes, reply: bytes | None, headers: bytes | None, payload: bytes) -> None:
        assert reply is not None
        connection.publish(reply.decode(), payload, headers=headers)

    return answer


async def test_requests_are_answered_each_with_its_own(nats: NatsConnection, network_id: str) -> None:
    nats.subscribe(f"{network_id}.echo", echo(nats))
    replies = await asyncio.gather(*(nats.request(f"{network_id}.echo", b"%d" % n) for n in range(500)))
    assert [reply.payload for reply in replies] == [b"%d" % n for n in range(500)]
    assert nats.in_flight == 0


async def test_headers_and_payload_are_kept_apart(nats: NatsConnection, network_id: str) -> None:
    nats.subscribe(f"{network_id}.echo", echo(nats))
    headers = b"NATS/1.0\r\nA: b\r\n\r\n"
    assert await nats.request(f"{network_id}.echo", b"\r\nx\r\n", headers=headers) == (headers, b"\r\nx\r\n")
    assert await nats.request(f"{network_id}.echo", b"") == (None, b"")


async def test_wildcards_queues_and_unsubscription(nats: NatsConnection, network_id: str) -> None:
    heard: dict[str, list[bytes]] = {"star": [], "tail": [], "queue": []}

    def into(name: str) -> Callable[..., None]:
        return lambda _subject, _reply, _headers, payload: heard[name].append(payload)

    star = nats.subscribe(f"{network_id}.*", into("star"))
    nats.subscribe(f"{network_id}.>", into("tail"))
    for _ in range(2):
        nats.subscribe(f"{network_id}.a", into("queue"), queue="workers")
    nats.publish(f"{network_id}.a", b"1")
    nats.publish(f"{network_id}.a.b", b"2")
    await nats.flush()
    nats.unsubscribe(star)
    nats.unsubscribe(star)
    nats.publish(f"{network_id}.a", b"3")
    await nats.flush()
    assert heard == {"star": [b"1"], "tail": [b"1", b"2", b"3"], "queue": [b"1", b"3"]}


async def test_a_request_that_nobody_hears_fails_at_once(nats: NatsConnection, network_id: str) -> None:
    started = time.monotonic()
    with pytest.raises(NoResponders):
        await nats.request(f"{network_id}.nobody", b"", timeout_s=30)
    assert time.monotonic() - started < WITHIN_S


async def test_a_request_that_nobody_answers_times_out(nats: NatsConnection, network_id: str) -> None:
    nats.subscribe(f"{network_id}.deaf", lambda *_: None)
    started = time.monotonic()
    with pytest.raises(RequestTimedOut):
        await nats.request(f"{network_id}.deaf", b"", timeout_s=0.2)
    assert 0.19 <= time.monotonic() - started < WITHIN_S  # timers have a grain
    assert nats.in_flight == 0


async def test_a_cancelled_request_leaves_nothing_behind(nats: NatsConnection, network_id: str) -> None:
    nats.subscribe(f"{network_id}.echo", echo(nats))
    request = nats.request(f"{network_id}.echo", b"x")
    request.cancel()
    assert (await nats.request(f"{network_id}.echo", b"y")).payload == b"y"
    assert nats.in_flight == 0


async def test_a_payload_above_the_limit_is_not_sent_and_headers_count(nats: NatsConnection, network_id: str) -> None:
    limit = nats.max_payload
    assert limit == 1024 * 1024
    with pytest.raises(PayloadTooLarge) as refused:
        nats.publish(f"{network_id}.a", bytes(limit + 1))
    assert refused.value.limit == limit
    headers = b"NATS/1.0\r\nA: b\r\n\r\n"
    with pytest.raises(PayloadTooLarge):
        await nats.request(f"{network_id}.a", bytes(limit - len(headers) + 1), headers=headers)
    heard: list[int] = []
    nats.subscribe(f"{network_id}.a", lambda _subject, _reply, _headers, payload: heard.append(len(payload)))
    nats.publish(f"{network_id}.a", bytes(limit - len(headers)), headers=headers)
    nats.publish(f"{network_id}.a", bytes(limit))
    await nats.flush()
    assert heard == [limit - len(headers), limit]


@pytest.mark.parametrize("subject", ["", "a b", "a\r\nPUB x 0", "a\tb", "a\x00"])
async def test_subjects_cannot_inject_protocol_text(nats: NatsConnection, subject: str) -> None:
    for call in (nats.publish, nats.request):
        with pytest.raises(ValueError, match="subject"):
            call(subject, b"")
    with pytest.raises(ValueError, match="subject"):
        nats.publish("a", b"", reply=subject)
    with pytest.raises(ValueError, match="subject"):
        nats.subscribe(subject, lambda *_: None)


async def test_what_a_callback_raises_is_heard_of_and_costs_nothing_else(
    nats_server: NatsServer, network_id: str
) -> None:
    faults: list[Exception] = []
    async with await NatsConnection.connect(NatsSettings(servers=(nats_server.url,)), faults.append) as connection:
        connection.subscribe(f"{network_id}.bad", lambda *_: dict[str, None]()["none"])
        connection.subscribe(f"{network_id}.echo", echo(connection))
        connection.publish(f"{network_id}.bad", b"")
        assert (await connection.request(f"{network_id}.echo", b"on")).payload == b"on"
        assert [type(fault) for fault in faults] == [KeyError]


async def test_closing_sends_what_was_written_and_fails_what_waits(
    nats_connect: Connect, nats_server: NatsServer, nats: NatsConnection, network_id: str
) -> None:
    heard: list[bytes] = []
    nats.subscribe(f"{network_id}.a", lambda _subject, _reply, _headers, payload: heard.append(payload))
    nats.subscribe(f"{network_id}.deaf", lambda *_: None)
    await nats.flush()
    connection = await nats_connect(nats_server)
    waiting = connection.request(f"{network_id}.deaf", b"")
    for number in range(100):
        connection.publish(f"{network_id}.a", b"%d" % number)
    await connection.close()
    await nats.flush()
    assert heard == [b"%d" % number for number in range(100)]
    with pytest.raises(Unavailable) as failed:
        await waiting
    assert failed.value.maybe_sent
    with pytest.raises(Unavailable) as refused:
        connection.publish(f"{network_id}.a", b"")
    assert not refused.value.maybe_sent
    await connection.close()


async def test_subscriptions_and_hooks_survive_a_restart(
    nats_server_factory: Callable[..., NatsServer], nats_connect: Connect
) -> None:
    server = nats_server_factory()
    connection = await nats_connect(server)
    seen: list[str] = []
    connection.on_disconnect(lambda: seen.append("down"))
    connection.on_reconnect(lambda: seen.append("up"))
    forget = connection.on_reconnect(lambda: seen.append("never"))
    forget()
    connection.subscribe("echo", echo(connection))
    for hard in (False, True):
        lost = connection.request("deaf", b"")
        connection.subscribe("deaf", lambda *_: None)
        (server.kill if hard else server.stop)()
        with pytest.raises((Unavailable, NoResponders)):
            await lost
        with pytest.raises(Unavailable) as refused:
            await connection.request("echo", b"")
        assert not refused.value.maybe_sent
        late = connection.subscribe("late", echo(connection))
        server.start()
        async with asyncio.timeout(WITHIN_S):
            await connection.until_connected()
        assert (await connection.request("echo", b"again")).payload == b"again"
        assert (await connection.request("late", b"new")).payload == b"new"
        connection.unsubscribe(late)
    assert seen == ["down", "up"] * 2


async def test_another_server_of_the_list_takes_over(nats_server_factory: Callable[..., NatsServer]) -> None:
    first, second = nats_server_factory(), nats_server_factory()
    settings = NatsSettings(servers=(first.url, f"nats://127.0.0.1:{free_port()}", second.url))
    async with await NatsConnection.connect(settings) as connection:
        connection.subscribe("echo", echo(connection))
        for server in (first, second):
            server.stop()
            async with asyncio.timeout(WITHIN_S):
                await connection.until_connected()
                while True:
                    try:
                        assert (await connection.request("echo", b"x")).payload == b"x"
                        break
                    except Unavailable:
                        await connection.until_connected()
            server.start()


async def flood(connection: NatsConnection) -> None:
    """Send until it is refused; the system's own socket buffers take some megabytes first."""
    for _ in range(1000):
        connection.publish("a", bytes(50_000))
        await asyncio.sleep(0)


async def test_a_frozen_server_is_noticed_and_its_memory_of_us_bounded(
    nats_server_factory: Callable[..., NatsServer], nats_connect: Connect
) -> None:
    server = nats_server_factory()
    connection = await nats_connect(
        server, ping_interval_s=0.3, write_buffer_bytes=200_000, connect_timeout_s=0.3, request_timeout_s=1.0
    )
    lost = asyncio.Event()
    connection.on_disconnect(lost.set)
    server.pause()
    with pytest.raises(Congested):
        await flood(connection)
    link = connection._link
    assert link is not None
    assert link.transport.get_write_buffer_size() < 2 * 200_000 + 60_000
    writable = asyncio.ensure_future(connection.writable())
    async with asyncio.timeout(WITHIN_S):
        await lost.wait()
        await writable
    server.resume()
    async with asyncio.timeout(WITHIN_S):
        await connection.until_connected()
        await connection.flush()


async def test_within_one_turn_of_the_loop_the_buffer_is_bounded_too(
    nats_connect: Connect, nats_server: NatsServer, network_id: str
) -> None:
    connection = await nats_connect(nats_server, write_buffer_bytes=100_000)
    requests = [connection.request(f"{network_id}.a", bytes(10_000)) for _ in range(100)]
    results = await asyncio.gather(*requests, return_exceptions=True)
    assert 80 < sum(isinstance(result, Congested) for result in results) < 95
    await connection.flush()
    connection.publish(f"{network_id}.a", b"")


async def test_no_server_at_all_is_said_so_within_the_bound() -> None:
    started = time.monotonic()
    with pytest.raises(Unavailable) as failed:
        await NatsConnection.connect(NatsSettings(servers=(f"nats://127.0.0.1:{free_port()}",)))
    assert not failed.value.maybe_sent
    assert time.monotonic() - started < WITHIN_S
    with pytest.raises(Unavailable):
        await NatsConnection.connect(NatsSettings(servers=()))


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
