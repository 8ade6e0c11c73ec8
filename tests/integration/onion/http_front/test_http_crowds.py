"""The HTTP server against too many at once, and how it ends."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import pytest

from services.onion.api.http1 import HttpLimits, HttpServer
from services.onion.api.http1.connection import Phase
from tests.integration.onion.http_front.serving import Serve, Site, until


async def test_too_many_requests_at_once_are_refused_before_any_work(serve: Serve) -> None:
    async with serve(requests=3) as (server, site, connect):
        busy = [await connect() for _ in range(3)]
        for client in busy:
            client.send("POST", "/later", b"abc")
        await until(lambda: server.under_way == 3)
        other = await connect()
        answer = await other.ask("POST", "/", b"abc")
        assert (answer.status, answer.body) == (503, b"Server busy, try again later")
        assert len(site.requests) == 3
        site.gate.set()
        assert [(await client.read()).status for client in busy] == [200] * 3
        assert (await other.ask("POST", "/", b"abc")).status == 200


async def test_a_new_connection_takes_the_place_of_the_longest_idle_one(serve: Serve) -> None:
    async with serve(connections=3) as (server, _, connect):
        first, second, third = [await connect() for _ in range(3)]
        for client in (second, third, first):
            assert (await client.ask("GET", "/")).status == 200
            await asyncio.sleep(0.01)  # the loop's clock counts milliseconds
        fourth = await connect()
        assert (await fourth.ask("GET", "/")).status == 200
        assert await second.ended()
        assert (await first.ask("GET", "/")).status == 200
        assert server.crowded_out == 1


async def test_stalled_handshakes_are_cut_off_and_count_as_connections(tls: ssl.SSLContext, connect: Any) -> None:
    server = HttpServer(Site(), HttpLimits(connections=5, handshake=0.5), tls)
    port = await server.start("127.0.0.1", 0)
    stalled = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    try:
        await until(lambda: server.crowded_out >= 15)
        assert server.connections <= 5
        await until(lambda: server.connections == 0)
        client = await connect(port)
        assert (await client.ask("GET", "/")).status == 200
    finally:
        for wire in stalled:
            wire.close()
        await server.stop()


async def test_dawdlers_make_way_for_newcomers(serve: Serve) -> None:
    async with serve(connections=4, head_time=60, body_time=60) as (server, _, connect):
        slow = [await connect() for _ in range(4)]
        for client in slow[:2]:
            client.writer.write(b"POST / HTT")
        for client in slow[2:]:
            client.writer.write(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc")
        await until(lambda: all(c.phase is not Phase.IDLE for c in server._connections))
        for connection in server._connections:
            connection.begun -= 2  # as if it had been so for that long
        for _ in range(3):
            client = await connect()
            assert (await client.ask("GET", "/")).status == 200
            client.close()


async def test_stalled_handshakes_make_way_for_newcomers(tls: ssl.SSLContext, connect: Any) -> None:
    server = HttpServer(Site(), HttpLimits(connections=5, handshake=60), tls)
    port = await server.start("127.0.0.1", 0)
    stalled = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
    try:
        await until(lambda: server.connections == 5)
        for connection in server._newcomers:
            connection.begun -= 2
        client = await connect(port)
        assert (await client.ask("GET", "/")).status == 200
        assert server.crowded_out == 1
    finally:
        for wire in stalled:
            wire.close()
        await server.stop()


async def test_draining_finishes_what_is_under_way_and_closes_the_rest(serve: Serve) -> None:
    async with serve() as (server, site, connect):
        idle, busy = await connect(), await connect()
        busy.send("GET", "/later")
        await until(lambda: server.under_way == 1)
        draining = asyncio.create_task(server.drain())
        assert await idle.ended()
        with pytest.raises(OSError, match=r".*"):
            await connect()
        assert not draining.done()
        site.gate.set()
        answer = await busy.read()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await busy.ended()
        await draining


async def test_stopping_cuts_everybody_off(serve: Serve) -> None:
    async with serve() as (server, site, connect):
        clients = [await connect() for _ in range(3)]
        clients[0].send("GET", "/later")
        clients[1].reader._transport.pause_reading()
        clients[1].send("GET", "/big")
        await until(lambda: server.under_way == 2)
        await server.stop()
        assert site.cancelled == 1
        assert await clients[2].ended()
