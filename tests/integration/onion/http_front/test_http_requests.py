"""The HTTP server and what its clients send: in order, in pieces, too large, malformed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.integration.onion.http_front.serving import MIB, Serve, until


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
