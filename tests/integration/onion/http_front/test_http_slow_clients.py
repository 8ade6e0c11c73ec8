"""The HTTP server against clients that are slow or silent, or never read; every wait and every buffer has its bound."""

from __future__ import annotations

import asyncio

from tests.integration.onion.http_front.serving import MIB, Serve, until


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
