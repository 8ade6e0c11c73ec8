"""Streams of our own HTTP/2 against gRPC's library, in both roles, and against each other; who is let in; the ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import grpc.aio
import pytest

from naisho.wire.node.v1.node_pb2_grpc import HopServiceServicer, HopServiceStub, add_HopServiceServicer_to_server
from naisho.wire.stream.v1.stream_pb2 import Packet
from services.chassis.certificates import Identity, TrustedPeers
from services.chassis.http2 import Incoming, Listener, Stream, connection, dial
from services.chassis.http2.frames import PREFACE
from services.chassis.packed import Handler, Limits, Load, PackedClient, Reply, StreamBroken, StreamState, serve_packed
from tests.grpc_library import pinned_channel, pinned_server
from tests.integration.chassis.packed_handlers import Gate, flood_without_reading, until

SERVER, ALICE, BOB = (Identity.make(name * 32) for name in ("5e", "a1", "b0"))
EXCHANGE = "/naisho.wire.node.v1.HopService/Exchange"
HOST = "127.0.0.1"


class Node:
    """A server of packed streams, ours or gRPC's."""

    def __init__(self, handler: Handler, trusted: TrustedPeers, limits: Limits | None = None) -> None:
        self.handler = handler
        self.trusted = trusted
        self.limits = limits
        self.load = Load()
        self.ended = 0

    async def serve(self, stream: Incoming[Packet]) -> None:
        try:
            async for packet in serve_packed(stream, self.handler, self.limits, self.load):
                await stream.write(packet)
        finally:
            self.ended += 1

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        listener = Listener(EXCHANGE, Packet, self.serve, SERVER, self.trusted)
        port = await listener.start(HOST, 0)
        try:
            yield port
        finally:
            await listener.stop()

    @asynccontextmanager
    async def listening_by_grpc(self) -> AsyncIterator[int]:
        node = self

        class Servicer(HopServiceServicer):
            async def Exchange(self, request_iterator: AsyncIterator[Packet], _: object) -> AsyncIterator[Packet]:  # noqa: N802
                async for packet in serve_packed(request_iterator, node.handler, node.limits, node.load):
                    yield packet

        server, port = pinned_server(f"{HOST}:0", SERVER, self.trusted)
        add_HopServiceServicer_to_server(Servicer(), server)
        await server.start()
        try:
            yield port
        finally:
            await server.stop(None)


def ours(port: int, identity: Identity = ALICE, peer: bytes = SERVER.certificate) -> Stream[Packet]:
    return dial((HOST, port), identity, peer, EXCHANGE, Packet)


@asynccontextmanager
async def calls_of(port: int, *, client: str, identity: Identity = ALICE) -> AsyncIterator[PackedClient]:
    async with AsyncExitStack() as stack:
        if client == "ours":
            calls = PackedClient(lambda: ours(port, identity))
        else:
            channel = await stack.enter_async_context(pinned_channel(f"{HOST}:{port}", identity, SERVER.certificate))
            calls = PackedClient(HopServiceStub(channel).Exchange)
        yield await stack.enter_async_context(calls)


def a_node(handler: Handler = Reply, limits: Limits | None = None) -> Node:
    return Node(handler, TrustedPeers([ALICE.certificate]), limits)


@pytest.mark.parametrize(("client", "server"), [("ours", "ours"), ("grpc", "ours"), ("ours", "grpc")])
async def test_calls_pass_between_our_ends_and_those_of_grpc(client: str, server: str) -> None:
    node = a_node()
    async with (
        node.listening() if server == "ours" else node.listening_by_grpc() as port,
        calls_of(port, client=client) as calls,
    ):
        for size in (0, 1, 16_384, 65_535, 65_536, 3 * 2**20, 10 * 2**20):
            body = bytes(range(256)) * (size // 256) + bytes(size % 256)
            assert await calls.call(200, body, 30) == Reply(200, body)
        bodies = [b"%d" % number * 200 for number in range(1000)]
        answers = await asyncio.gather(*(calls.call(200, body, 30) for body in bodies))
        assert [answer.body for answer in answers] == bodies


@pytest.mark.parametrize("client", ["ours", "grpc"])
async def test_a_reader_that_takes_nothing_makes_the_server_stop_reading(client: str) -> None:
    node = a_node(limits=Limits(queued_bytes=2 * 2**20, calls=64))
    async with node.listening() as port, AsyncExitStack() as stack:
        stream: Stream[Packet] | grpc.aio.StreamStreamCall[Packet, Packet]
        if client == "ours":
            stream = ours(port)
        else:
            channel = await stack.enter_async_context(pinned_channel(f"{HOST}:{port}", ALICE, SERVER.certificate))
            stream = HopServiceStub(channel).Exchange()
        await flood_without_reading(stream, node.load)


async def test_a_half_closed_stream_is_answered_to_its_end() -> None:
    gate = Gate()
    async with (
        a_node(gate).listening() as port,
        pinned_channel(f"{HOST}:{port}", ALICE, SERVER.certificate) as channel,
    ):
        stream = HopServiceStub(channel).Exchange()
        packet = Packet()
        packet.frames.add(id=7, code=200, body=b"last words")
        await stream.write(packet)
        await stream.done_writing()
        await gate.wait_for(1)
        gate.open.set()
        assert [frame.body async for packet in stream for frame in packet.frames] == [b"last words"]
        assert await stream.code() is grpc.StatusCode.OK


async def test_a_client_that_vanishes_leaves_nothing_under_way() -> None:
    gate = Gate()
    node = a_node(gate)
    async with node.listening() as port:
        async with calls_of(port, client="ours") as calls:
            futures = [calls.submit(200, b"x", 10) for _ in range(10)]
            await gate.wait_for(10)
        assert all(isinstance(future.exception(), StreamBroken) for future in futures)
        await until(lambda: node.ended == 1)
        assert (gate.cancelled, node.load.calls_in_hand) == (10, 0)


async def test_a_server_that_stops_ends_its_streams() -> None:
    gate = Gate()
    node = a_node(gate)
    listener = Listener(EXCHANGE, Packet, node.serve, SERVER, node.trusted)
    port = await listener.start(HOST, 0)
    async with calls_of(port, client="ours") as calls:
        future = calls.submit(200, b"x", 10)
        await gate.wait_for(1)
        await listener.stop()
        with pytest.raises(StreamBroken):
            await future
    assert (node.ended, gate.cancelled) == (1, 1)


@pytest.mark.parametrize("client", ["ours", "grpc"])
async def test_only_listed_certificates_are_let_in_and_the_list_may_change(client: str) -> None:
    node = a_node(lambda code, _: Reply(code, b"in"))
    async with node.listening() as port:
        for listed, served in (((ALICE,), False), ((ALICE, BOB), True), ((ALICE,), False), ((), False)):
            node.trusted.replace(identity.certificate for identity in listed)
            async with calls_of(port, client=client, identity=BOB) as calls:
                if served:
                    assert await calls.call(200, b"", 10) == Reply(200, b"in")
                else:
                    with pytest.raises(StreamBroken):
                        await calls.call(200, b"", 10)


async def test_a_client_without_a_certificate_is_refused() -> None:
    node = a_node()
    async with node.listening() as port:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            reader, writer = await asyncio.open_connection(HOST, port, ssl=context)
            writer.write(PREFACE)
            assert await reader.read() == b""  # TLS 1.3 tells it no sooner
        writer.close()
    assert node.ended == 0


async def test_who_does_not_speak_tls_is_cut_off() -> None:
    async with a_node().listening() as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n" * 10)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        async with calls_of(port, client="ours") as calls:
            assert (await calls.call(200, b"", 10)).status == 200


async def test_a_server_with_any_other_certificate_is_refused_even_of_the_same_name() -> None:
    impostor = Identity.make("5e" * 32)
    async with a_node().listening() as port:
        for expected in (impostor, BOB):
            async with PackedClient(lambda expected=expected: ours(port, ALICE, expected.certificate)) as calls:  # type: ignore[misc]
                with pytest.raises(StreamBroken, match="UNAVAILABLE"):
                    await calls.call(200, b"", 10)


async def test_nobody_there_is_unavailable() -> None:
    with socket.create_server((HOST, 0)) as dead:
        port = dead.getsockname()[1]
    async with PackedClient(lambda: ours(port)) as calls:
        with pytest.raises(StreamBroken, match="UNAVAILABLE"):
            await calls.call(200, b"", 10)


async def test_an_unknown_method_is_unimplemented() -> None:
    async with a_node().listening() as port:
        stream = dial((HOST, port), ALICE, SERVER.certificate, "/no.Such/Method", Packet)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.read()
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        async with pinned_channel(f"{HOST}:{port}", ALICE, SERVER.certificate) as channel:
            other: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream("/no.Such/Method")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await other().read()
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_bytes_that_are_no_packet_end_the_stream_alone() -> None:
    async with (
        a_node().listening() as port,
        calls_of(port, client="ours") as calls,
        pinned_channel(f"{HOST}:{port}", ALICE, SERVER.certificate) as channel,
    ):
        await calls.wait_for(StreamState.OPEN)
        raw: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(EXCHANGE)
        stream = raw()
        await stream.write(b"\xff" * 100)

        async def read_on() -> None:
            while True:
                await stream.read()

        with pytest.raises(grpc.aio.AioRpcError):
            await read_on()
        assert (await calls.call(200, b"ab", 10)).body == b"ab"


async def test_a_handler_that_fails_ends_its_stream_and_tells_its_type_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_stream: Incoming[Packet]) -> None:
        raise RuntimeError("a secret")

    listener = Listener(EXCHANGE, Packet, fail, SERVER, TrustedPeers([ALICE.certificate]))
    port = await listener.start(HOST, 0)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ours(port).read()
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    await listener.stop()
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text


async def test_a_port_in_use_is_an_error() -> None:
    async with a_node().listening() as port:
        with pytest.raises(OSError, match="in use"):
            await Listener(EXCHANGE, Packet, a_node().serve, SERVER, TrustedPeers()).start(HOST, port)


async def test_an_end_that_falls_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_SILENCE", 0.2)
    swallow = asyncio.Event()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(2**16):
            if not swallow.is_set():
                writer.write(data)

    node = a_node(Gate())
    async with node.listening() as port:
        pumps: list[asyncio.Task[None]] = []
        writers: list[asyncio.StreamWriter] = []

        async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            far_reader, far_writer = await asyncio.open_connection(HOST, port)
            writers.extend((writer, far_writer))
            for source, sink in ((reader, far_writer), (far_reader, writer)):
                pumps.append(asyncio.create_task(pass_on(source, sink)))

        proxy = await asyncio.start_server(between, HOST, 0)
        async with PackedClient(lambda: ours(proxy.sockets[0].getsockname()[1])) as calls:
            await calls.wait_for(StreamState.OPEN)
            await asyncio.sleep(1)  # several silences, each broken by an answer to a ping
            assert calls.state is StreamState.OPEN
            future = calls.submit(200, b"x", 10)
            swallow.set()
            with pytest.raises(StreamBroken, match="UNAVAILABLE"):
                await future
            await until(lambda: node.ended == 1)
        proxy.close()
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for writer in writers:
            writer.close()
