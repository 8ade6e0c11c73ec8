"""Packed streams over real gRPC on unix sockets: order, packing and bounds."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import grpc.aio
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import get_current_span

from naisho.wire.node.v1.node_pb2_grpc import HopServiceServicer, HopServiceStub, add_HopServiceServicer_to_server
from naisho.wire.stream.v1.stream_pb2 import Packet
from services.chassis.grpc_endpoint import unix_channel, unix_server
from services.chassis.packed import (
    BUSY,
    FAILED,
    FrameTooLarge,
    Limits,
    PackedClient,
    Reply,
    StreamBusy,
    StreamState,
    serve_packed,
)
from services.chassis.telemetry import SpanKind, Tracer
from tests.integration.chassis.packed_handlers import Gate, echo

if TYPE_CHECKING:
    from tests.integration.chassis.conftest import ClientMaker, PeerMaker


async def test_ten_thousand_interleaved_calls_each_get_their_own_answer(peer: PeerMaker, client: ClientMaker) -> None:
    order = random.Random(1)

    async def shuffled(code: int, body: bytes) -> Reply:
        for _ in range(order.randrange(5)):
            await asyncio.sleep(0)
        return await echo(code, body)

    server = await peer(shuffled)
    calls = client(server)
    gate = asyncio.Semaphore(500)

    async def one(number: int) -> None:
        body = b"%d" % number * (1 + number % 50)
        code = 200 + number % 300
        async with gate:
            assert await calls.call(code, body, 30) == Reply(code, body[::-1], binary=number % 2 == 1)

    async with asyncio.TaskGroup() as group:
        for number in range(10_000):
            group.create_task(one(number))
    assert calls.in_flight == 0
    assert (server.load.answered, server.load.calls_in_hand, server.load.bytes_in_hand) == (10_000, 0, 0)


async def test_what_is_queued_in_one_turn_leaves_as_one_packet(peer: PeerMaker, client: ClientMaker) -> None:
    server = await peer(Reply)
    calls = client(server)
    await calls.wait_for(StreamState.OPEN)
    await asyncio.gather(*(calls.call(200, b"x", 10) for _ in range(50)))
    assert server.packets_read == 1


async def test_a_handler_may_answer_at_once_by_a_future_or_by_a_coroutine(peer: PeerMaker, client: ClientMaker) -> None:
    def each_way(code: int, body: bytes) -> Reply | asyncio.Future[Reply] | object:
        if body == b"at once":
            return Reply(code, body)
        if body == b"future":
            future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(future.set_result, Reply(code, body))
            return future
        return echo(code, body)

    calls = client(await peer(each_way))
    assert await calls.call(200, b"at once", 10) == Reply(200, b"at once")
    assert await calls.call(201, b"future", 10) == Reply(201, b"future")
    assert await calls.call(202, b"abc", 10) == Reply(202, b"cba")


async def test_empty_bodies_and_the_largest_bodies_pass_both_ways(peer: PeerMaker, client: ClientMaker) -> None:
    calls = client(await peer(echo))
    large = random.Random(2).randbytes(10 * 2**20 + 1000)
    assert await calls.call(200, b"", 10) == Reply(200, b"")
    assert (await calls.call(200, large, 30)).body == large[::-1]
    with pytest.raises(FrameTooLarge):
        await calls.call(200, bytes(11 * 2**20 + 1), 10)


async def test_large_bodies_together_are_split_into_packets_that_fit(peer: PeerMaker, client: ClientMaker) -> None:
    calls = client(await peer(echo))
    answers = await asyncio.gather(*(calls.call(200, bytes([n]) * 3_000_000, 30) for n in range(12)))
    assert [answer.body[:1] for answer in answers] == [bytes([n]) for n in range(12)]


async def test_beyond_its_limit_the_client_refuses_before_sending(peer: PeerMaker, client: ClientMaker) -> None:
    gate = Gate()
    calls = client(await peer(gate), Limits(calls=3))
    waiting = [asyncio.create_task(calls.call(200, b"x", 10)) for _ in range(3)]
    await gate.wait_for(3)
    with pytest.raises(StreamBusy):
        await calls.call(200, b"x", 10)
    gate.open.set()
    assert await asyncio.gather(*waiting) == [Reply(200, b"x")] * 3
    assert calls.refused == 1
    assert await calls.call(200, b"again", 10) == Reply(200, b"again")


async def test_beyond_its_queue_of_bytes_the_client_refuses(peer: PeerMaker, client: ClientMaker) -> None:
    calls = client(await peer(echo), Limits(queued_bytes=1000))
    first = calls.submit(200, bytes(900), 10)
    with pytest.raises(StreamBusy):
        calls.submit(200, bytes(200), 10)
    assert (await first).status == 200


async def test_beyond_its_limit_the_server_answers_busy_before_any_work(peer: PeerMaker, client: ClientMaker) -> None:
    gate = Gate()
    server = await peer(gate, Limits(calls=2))
    calls = client(server)
    waiting = [asyncio.create_task(calls.call(200, b"x", 10)) for _ in range(2)]
    await gate.wait_for(2)
    assert await calls.call(200, b"x", 10) == BUSY
    assert Reply(503, b"Server busy, try again later") == BUSY
    assert gate.entered == 2
    gate.open.set()
    await asyncio.gather(*waiting)
    assert server.load.refused == 1


async def test_the_limit_counts_all_streams_that_share_a_load(peer: PeerMaker, client: ClientMaker) -> None:
    gate = Gate()
    server = await peer(gate, Limits(calls=2))
    one, other = client(server), client(server)
    waiting = [asyncio.create_task(calls.call(200, b"x", 10)) for calls in (one, other)]
    await gate.wait_for(2)
    assert (await other.call(200, b"x", 10)).status == 503
    gate.open.set()
    await asyncio.gather(*waiting)


async def test_a_handler_that_raises_is_answered_and_logged_without_its_text(
    peer: PeerMaker, client: ClientMaker, caplog: pytest.LogCaptureFixture
) -> None:
    def at_once(_code: int, body: bytes) -> Reply:
        raise KeyError(body.decode())

    async def later(_code: int, body: bytes) -> Reply:
        await asyncio.sleep(0)
        raise LookupError(body.decode())

    for handler, kind in ((at_once, "KeyError"), (later, "LookupError")):
        server = await peer(handler)
        calls = client(server)
        with caplog.at_level(logging.DEBUG):
            assert await calls.call(200, b"secret-account", 10) == FAILED == Reply(500, b"request failed")
        assert server.load.failed == 1
        assert kind in caplog.text
        assert "test_packed_streams:" in caplog.text
        assert "secret-account" not in caplog.text
        caplog.clear()


async def test_a_handler_that_is_cancelled_from_within_is_answered(peer: PeerMaker, client: ClientMaker) -> None:
    async def gives_up(_code: int, _body: bytes) -> Reply:
        raise asyncio.CancelledError

    calls = client(await peer(gives_up))
    assert await calls.call(200, b"", 10) == FAILED


async def test_an_answer_too_large_to_send_becomes_a_failure(peer: PeerMaker, client: ClientMaker) -> None:
    calls = client(await peer(lambda code, _body: Reply(code, bytes(12 * 2**20))))
    assert await calls.call(200, b"", 10) == FAILED


async def test_a_stream_carries_no_trace_and_nothing_else_that_names_it(tmp_path: Path) -> None:
    seen: list[dict[str, str | bytes]] = []

    class Curious(HopServiceServicer):
        async def Exchange(  # noqa: N802 - gRPC's name
            self,
            request_iterator: AsyncIterator[Packet],
            context: grpc.aio.ServicerContext[AsyncIterator[Packet], AsyncIterator[Packet]],
        ) -> AsyncIterator[Packet]:
            seen.append(dict(context.invocation_metadata() or ()))
            assert not get_current_span().get_span_context().is_valid
            async for packet in serve_packed(request_iterator, Reply):
                yield packet

    tracer = Tracer("onion", 1, SimpleSpanProcessor(InMemorySpanExporter()))
    server = unix_server(tmp_path / "s")
    add_HopServiceServicer_to_server(Curious(), server)
    await server.start()
    async with unix_channel(tmp_path / "s") as channel:
        with tracer.span(SpanKind("ask")):
            assert get_current_span().get_span_context().is_valid
            async with PackedClient(HopServiceStub(channel).Exchange) as calls:
                await calls.call(200, b"", 10)
    await server.stop(None)
    tracer.close()
    assert [set(metadata) for metadata in seen] == [{"user-agent"}]
