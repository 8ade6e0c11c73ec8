"""What a packed call costs, beside a stream of gRPC's library: CPU of both ends, interleaved, in one process.

Over the unix socket packed calls travel in such a stream, over TLS in one of our own.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import grpc.aio
import pytest

from naisho.wire.node.v1.node_pb2_grpc import HopServiceServicer, HopServiceStub, add_HopServiceServicer_to_server
from naisho.wire.stream.v1.stream_pb2 import Packet
from services.chassis.certificates import Identity, TrustedPeers
from services.chassis.grpc_endpoint import unix_channel, unix_server
from services.chassis.http2 import Incoming, Listener, dial
from services.chassis.packed import PackedClient, Reply, StreamState, serve_packed
from services.chassis.packed import client as packed_client
from tests.grpc_library import pinned_channel, pinned_server

CALLS = 960
PAIRS = 5
BODY = bytes(1024)
PATH = "/naisho.wire.node.v1.HopService/Exchange"


class Plain(HopServiceServicer):
    """Gives each packet back: a bare stream, the ceiling."""

    async def Exchange(self, request_iterator: AsyncIterator[Packet], _: object) -> AsyncIterator[Packet]:  # noqa: N802
        async for packet in request_iterator:
            yield packet


class Packed(HopServiceServicer):
    """Gives each body back, from a task per call."""

    async def Exchange(self, request_iterator: AsyncIterator[Packet], _: object) -> AsyncIterator[Packet]:  # noqa: N802
        async for packet in serve_packed(request_iterator, echo):
            yield packet


async def echo(code: int, body: bytes) -> Reply:
    return Reply(code, body)


async def serve(stream: Incoming[Packet]) -> None:
    async for packet in serve_packed(stream, echo):
        await stream.write(packet)


async def ping_pong(channel: grpc.aio.Channel, in_flight: int) -> float:
    """Return CPU seconds per message over `in_flight` streams, one message each at a time."""
    streams = [HopServiceStub(channel).Exchange() for _ in range(in_flight)]
    packet = Packet()
    packet.frames.add(id=1, code=200, body=BODY)

    async def play(stream: grpc.aio.StreamStreamCall[Packet, Packet], count: int) -> None:
        for _ in range(count):
            await stream.write(packet)
            await stream.read()

    await asyncio.gather(*(play(stream, 2) for stream in streams))
    began = time.process_time()
    await asyncio.gather(*(play(stream, CALLS // in_flight) for stream in streams))
    spent = time.process_time() - began
    for stream in streams:
        stream.cancel()
    return spent / CALLS


async def packed(open_stream: Callable[[], packed_client.Stream], in_flight: int) -> float:
    """Return CPU seconds per call over one packed stream with `in_flight` callers."""
    async with PackedClient(open_stream) as calls:
        await calls.wait_for(StreamState.OPEN)

        async def play(count: int) -> None:
            for _ in range(count):
                assert (await calls.call(200, BODY, 30)).body == BODY

        await asyncio.gather(*(play(2) for _ in range(in_flight)))
        began = time.process_time()
        await asyncio.gather(*(play(CALLS // in_flight) for _ in range(in_flight)))
        return (time.process_time() - began) / CALLS


@pytest.mark.parametrize(
    ("transport", "in_flight", "most"),
    [("unix", 1, 2.5), ("unix", 16, 0.95), ("unix", 64, 0.8), ("tls", 1, 0.95), ("tls", 16, 0.8), ("tls", 64, 0.8)],
)
async def test_packed_calls_cost_a_fraction_of_bare_streams_once_several_are_in_flight(
    tmp_path: Path, transport: str, in_flight: int, most: float, record_property: Callable[[str, object], None]
) -> None:
    node, peer = Identity.make("5e" * 32), Identity.make("a1" * 32)
    trusted = TrustedPeers([peer.certificate])
    async with AsyncExitStack() as stack:

        async def listening(servicer: HopServiceServicer) -> grpc.aio.Channel:
            if transport == "unix":
                socket = tmp_path / type(servicer).__name__
                server, channel = unix_server(socket), unix_channel(socket)
            else:
                server, port = pinned_server("127.0.0.1:0", node, trusted)
                channel = pinned_channel(f"127.0.0.1:{port}", peer, node.certificate)
            add_HopServiceServicer_to_server(servicer, server)
            await server.start()
            stack.push_async_callback(server.stop, None)
            return await stack.enter_async_context(channel)

        plain = await listening(Plain())
        open_stream: Callable[[], packed_client.Stream]
        if transport == "unix":
            open_stream = HopServiceStub(await listening(Packed())).Exchange
        else:
            listener = Listener(PATH, Packet, serve, node, trusted)
            place = "127.0.0.1", await listener.start("127.0.0.1", 0)
            stack.push_async_callback(listener.stop)
            open_stream = partial(dial, place, peer, node.certificate, PATH, Packet)
        pairs = [(await packed(open_stream, in_flight), await ping_pong(plain, in_flight)) for _ in range(PAIRS)]
    ratios = [mine / theirs for mine, theirs in pairs]
    record_property("ratio", statistics.median(ratios))
    print(f"{transport}, {in_flight} in flight: {statistics.median(ratios):.2f} of a bare stream's CPU")
    assert statistics.median(ratios) < most
