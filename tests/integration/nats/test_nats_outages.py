"""The NATS client while its servers end, freeze and come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from operators.local.nats_server import NatsServer, free_port
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.errors import (
    Congested,
    NoResponders,
    Unavailable,
)
from services.chassis.nats.settings import NatsSettings
from tests.integration.nats.echoing import echo

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

Connect = Callable[..., Awaitable[NatsConnection]]
WITHIN_S = 10.0


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
