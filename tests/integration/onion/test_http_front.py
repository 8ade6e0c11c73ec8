"""The HTTP server against clients that behave badly; every wait and every buffer has its bound."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from services.chassis.certificates import Identity
from services.onion.api.http1 import Head, HttpLimits, HttpServer, Request, Response
from services.onion.api.http1.connection import Phase
from services.onion.bootstrap import tls_context

MIB = 2**20


@dataclass
class Site:
    """Answers with the size of the body; some paths behave on purpose."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: int = 0
    requests: list[Request] = field(default_factory=list)

    def admit(self, head: Head, peer: str) -> Response | None:
        assert peer == "127.0.0.1"
        return Response(429, b"Too Many Requests") if head.target == "/refused" else None

    def answer(self, request: Request) -> Response | Awaitable[Response]:
        self.requests.append(request)
        if request.head.target == "/big":
            return Response(200, b"x" * (10 * MIB), "application/octet-stream")
        if request.head.target == "/breaks":
            raise ValueError("secret")
        if request.head.target.startswith("/later"):
            return self.later(request)
        return Response(200, b"%d" % len(request.body))

    async def later(self, request: Request) -> Response:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if request.head.target == "/later-breaks":
            raise ValueError("secret")
        return Response(200, request.head.target.encode())


Serve = Callable[..., Any]


@pytest.fixture(scope="module")
def tls() -> ssl.SSLContext:
    return tls_context(Identity.make("front"))


@pytest.fixture(params=["tls", "plain"])
def serve(request: pytest.FixtureRequest, tls: ssl.SSLContext, connect: Any) -> Serve:
    """Return ``serve(**limits)``: a context of (server, site, connect)."""
    encrypted = request.param == "tls"

    @asynccontextmanager
    async def start(**limits: Any) -> AsyncIterator[tuple[HttpServer, Site, Callable[[], Awaitable[Any]]]]:
        site = Site()
        server = HttpServer(site, HttpLimits(**{"linger_time": 0.3} | limits), tls if encrypted else None)
        port = await server.start("127.0.0.1", 0)
        try:
            yield server, site, lambda: connect(port, tls=encrypted)
        finally:
            await server.stop()
            assert server.under_way == 0
            assert server.held == 0
            assert server.connections == 0

    return start


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not holds():  # noqa: ASYNC110 - counters have no events
            await asyncio.sleep(0.01)


async def test_one_connection_many_requests(serve: Serve) -> None:
    async with serve() as (server, _, connect):
        client = await connect()
        for size in (0, 1, 1000, 70_000, MIB):
            answer = await client.ask("POST", "/", b"x" * size)
            assert (answer.status, answer.body) == (200, b"%d" % size)
        assert answer.headers["content-type"] == "text/plain"
        assert answer.headers["date"].endswith("GMT")
        assert server.answers == {2: 5}


async def test_pipelined_requests_are_answered_in_order_and_one_at_a_time(serve: Serve) -> None:
    async with serve() as (_, site, connect):
        client = await connect()
        client.send("POST", "/later-1", b"a" * 30_000)
        client.send("POST", "/2", b"b" * 30_000)
        client.send("POST", "/later-3", b"c" * 90_000)
        client.send("POST", "/4")
        await until(lambda: len(site.requests) == 1)
        await asyncio.sleep(0.05)
        assert len(site.requests) == 1
        site.gate.set()
        bodies = [(await client.read()).body for _ in range(4)]
        assert bodies == [b"/later-1", b"30000", b"/later-3", b"0"]


async def test_chunked_bodies_and_expectations(serve: Serve) -> None:
    async with serve() as (_, _, connect):
        client = await connect()
        client.writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert (await client.read()).body == b"5"
        client.writer.write(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.writer.write(b"abcd")
        assert (await client.read()).body == b"4"


async def test_who_asks_to_close_is_closed(serve: Serve) -> None:
    async with serve() as (_, _, connect):
        client = await connect()
        answer = await client.ask("POST", "/", b"x", Connection="close")
        assert answer.headers["connection"] == "close"
        assert await client.ended()


async def test_head_gets_no_body(serve: Serve) -> None:
    async with serve() as (_, _, connect):
        client = await connect()
        client.send("HEAD", "/")
        client.send("HEAD", "/refused")
        first = await client.reader.readuntil(b"\r\n\r\n")
        assert b"Content-Length: 1\r\n" in first
        assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 429 ")


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
async def test_a_body_above_the_limit_is_refused_and_the_client_reads_why(serve: Serve, *, chunked: bool) -> None:
    async with serve(body=MIB) as (server, site, connect):
        client = await connect()
        if chunked:
            client.writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n")
        else:
            client.writer.write(b"POST / HTTP/1.1\r\nContent-Length: 2097152\r\n\r\n")
        client.writer.write(b"x" * (2 * MIB))
        answer = await client.read()
        assert (answer.status, answer.body) == (413, b"Request body too large")
        assert answer.headers["connection"] == "close"
        assert not site.requests
        assert server.held == 0
        exact = await connect()
        assert (await exact.ask("POST", "/", b"x" * MIB)).body == b"%d" % MIB


async def test_an_early_refusal_keeps_the_connection_if_the_body_is_there(serve: Serve) -> None:
    async with serve() as (_, site, connect):
        client = await connect()
        assert (await client.ask("POST", "/refused", b"abc")).status == 429
        assert (await client.ask("POST", "/", b"abc")).body == b"3"
        client.writer.write(b"POST /refused HTTP/1.1\r\nContent-Length: 1000\r\n\r\nabc")
        assert (await client.read()).status == 429
        assert len(site.requests) == 1


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 65 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\na: " + b"b" * 20_000, 431),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
)
async def test_malformed_requests_are_answered_and_cut_off(serve: Serve, raw: bytes, status: int) -> None:
    async with serve() as (_, site, connect):
        client = await connect()
        client.writer.write(raw)
        assert (await client.read()).status == status
        client.writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await client.ended()
        assert not site.requests


async def test_a_site_that_breaks_is_a_500_and_logs_no_word_of_it(serve: Serve, caplog: Any) -> None:
    async with serve() as (_, site, connect):
        site.gate.set()
        client = await connect()
        for target in ("/breaks", "/later-breaks"):
            answer = await client.ask("GET", target)
            assert (answer.status, answer.body) == (500, b"request failed")
        assert (await client.ask("GET", "/")).status == 200
    assert "ValueError at " in caplog.text
    assert "secret" not in caplog.text
    caplog.clear()


# Clients that are slow, silent, or too many.


async def test_slow_heads_and_bodies_are_cut_off_while_others_are_served(serve: Serve) -> None:
    async with serve(head_time=0.5, body_time=0.5) as (server, _, connect):
        slow = [await connect() for _ in range(30)]
        for client in slow[:15]:
            client.writer.write(b"POST / HTT")
        for client in slow[15:]:
            client.writer.write(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc")
        quick = await connect()
        for _ in range(20):
            assert (await quick.ask("POST", "/", b"abc")).status == 200
        for client in slow[:15]:
            assert await client.ended()
        for client in slow[15:]:
            answer = await client.read()
            assert (answer.status, answer.body) == (408, b"The request's body did not arrive in time")
        await until(lambda: server.held == 0)
        assert (await quick.ask("POST", "/", b"abc")).status == 200


async def test_a_body_that_trickles_is_cut_off_and_one_that_flows_is_not(serve: Serve) -> None:
    async with serve(body_time=0.4, slowest=100_000) as (_, _, connect):
        trickle, flow = await connect(), await connect()
        trickle.writer.write(b"POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n")
        flow.writer.write(b"POST / HTTP/1.1\r\nContent-Length: 200000\r\n\r\n")
        for _ in range(20):
            trickle.writer.write(b"x")
            flow.writer.write(b"x" * 10_000)
            await asyncio.sleep(0.05)
        assert (await flow.read()).body == b"200000"
        assert (await trickle.read()).status == 408


async def test_idle_connections_are_closed(serve: Serve) -> None:
    async with serve(idle_time=0.3) as (_, _, connect):
        silent, once = await connect(), await connect()
        assert (await once.ask("GET", "/")).status == 200
        assert await silent.ended()
        assert await once.ended()


async def test_an_answer_that_takes_too_long(serve: Serve) -> None:
    async with serve(answer_time=0.3) as (_, site, connect):
        client = await connect()
        answer = await client.ask("GET", "/later")
        assert (answer.status, answer.body) == (504, b"Request time out")
        assert site.cancelled == 1


async def test_a_client_that_leaves_ends_its_request(serve: Serve) -> None:
    async with serve() as (server, site, connect):
        client = await connect()
        client.send("GET", "/later")
        await until(lambda: server.under_way == 1)
        client.writer.transport.abort()
        await until(lambda: server.under_way == 0)
        assert site.cancelled == 1


async def test_clients_that_never_read_hold_bounded_memory_for_a_bounded_time(serve: Serve) -> None:
    async with serve(held=64 * MIB, write_time=0.5) as (server, _, connect):
        clients = [await connect() for _ in range(5)]
        for client in clients:
            client.reader._transport.pause_reading()
            for _ in range(3):
                client.send("GET", "/big")
        await until(lambda: server.held > 40 * MIB)
        assert server.held <= 5 * (10 * MIB + 1000)
        quick = await connect()
        assert (await quick.ask("POST", "/", b"abc")).status == 200
        await until(lambda: server.held == 0)
        await until(lambda: server.connections == 1)


async def test_a_flood_of_large_answers_never_exceeds_the_bound(serve: Serve) -> None:
    async with serve(held=25 * MIB, write_time=60) as (server, _, connect):
        clients = [await connect() for _ in range(20)]
        for client in clients:
            client.reader._transport.pause_reading()
            client.send("GET", "/big")
        await until(lambda: sum(server.answers.values()) >= 20)
        assert server.held <= 25 * MIB
        # Two answers fit; who got none is told so, and small requests are served all the while.
        for client in clients:
            client.reader._transport.resume_reading()
        statuses = [(await client.reader.readuntil(b"\r\n"))[9:12] for client in clients]
        assert statuses.count(b"200") >= 2
        assert set(statuses) == {b"200", b"503"}
        assert (await (await connect()).ask("GET", "/")).status == 200


async def test_a_slow_reader_gets_everything(serve: Serve) -> None:
    async with serve(write_time=0.4, slowest=MIB) as (_, _, connect):
        client = await connect()
        client.send("GET", "/big")
        client.send("GET", "/")
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert b"Content-Length: 10485760" in head
        for _ in range(20):
            await client.reader.readexactly(MIB // 2)
            await asyncio.sleep(0.03)
        assert (await client.read()).body == b"0"


async def test_who_holds_memory_for_long_makes_room_for_others(serve: Serve) -> None:
    async with serve(held=11 * MIB, write_time=60) as (server, _, connect):
        hog = await connect()
        hog.reader._transport.pause_reading()
        hog.send("GET", "/big")
        await until(lambda: server.held > 10 * MIB)
        client = await connect()
        assert (await client.ask("POST", "/", b"x" * (2 * MIB))).status == 503
        for connection in server._connections:
            connection.begun -= 6  # as if it had been so for that long
        other = await connect()
        assert (await other.ask("POST", "/", b"x" * (2 * MIB))).status == 200
        assert server.crowded_out == 1
        assert server.held == 0


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


# Ending.


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
