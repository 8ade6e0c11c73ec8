"""Packed streams that break, stall, close or drain: what becomes of calls, and of everybody's tasks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import grpc.aio
import pytest

from naisho.wire.node.v1.node_pb2_grpc import HopServiceServicer, HopServiceStub, add_HopServiceServicer_to_server
from naisho.wire.stream.v1.stream_pb2 import Packet
from services.chassis.grpc_endpoint import unix_channel, unix_server
from services.chassis.packed import (
    BUSY,
    Limits,
    PackedClient,
    Reply,
    StreamBroken,
    StreamError,
    StreamState,
    StreamTimeout,
)
from tests.integration.chassis.packed_handlers import Gate, echo, flood_without_reading, until

if TYPE_CHECKING:
    from tests.integration.chassis.conftest import ClientMaker, PeerMaker


async def test_calls_in_flight_fail_when_the_server_dies_and_are_never_sent_again(
    peer: PeerMaker, client: ClientMaker
) -> None:
    gate = Gate()
    server = await peer(gate)
    calls = client(server)
    waiting = [asyncio.create_task(calls.call(200, b"x", 30)) for _ in range(5)]
    await gate.wait_for(5)
    await server.kill()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(answer, StreamBroken) for answer in answers)
    assert calls.state is not StreamState.OPEN
    await until(lambda: gate.cancelled == 5)
    assert server.load.calls_in_hand == 0
    gate.open.set()
    await server.start()
    await calls.wait_for(StreamState.OPEN)
    assert await calls.call(200, b"new", 10) == Reply(200, b"new")
    assert gate.entered == 6
    assert calls.broken == 5


async def test_what_was_queued_for_a_dead_server_is_not_sent_to_the_next(peer: PeerMaker, client: ClientMaker) -> None:
    seen: list[bytes] = []

    def note(code: int, body: bytes) -> Reply:
        seen.append(body)
        return Reply(code, body)

    server = await peer(note)
    await server.kill()
    calls = client(server, Limits(packet_bytes=100), on_demand=True)
    queued = [calls.submit(200, b"old" * 50, 10) for _ in range(5)]
    failures = await asyncio.gather(*queued, return_exceptions=True)
    assert [type(failure) for failure in failures] == [StreamBroken] * 5
    await server.start()
    answer: Reply | None = None
    while answer is None:  # the channel, too, pauses before it tries again
        with contextlib.suppress(StreamBroken):
            await calls.wait_for(StreamState.IDLE)
            answer = await calls.call(200, b"new", 10)
    assert answer == Reply(200, b"new")
    assert seen == [b"new"]


async def test_while_the_server_is_away_calls_fail_at_once_or_in_the_attempt(
    peer: PeerMaker, client: ClientMaker
) -> None:
    server = await peer(echo)
    calls = client(server)
    await calls.call(200, b"x", 10)
    await server.kill()
    await calls.wait_for(StreamState.BROKEN)
    began = asyncio.get_running_loop().time()
    for _ in range(3):
        with pytest.raises(StreamBroken):
            await calls.call(200, b"x", 30)
    assert asyncio.get_running_loop().time() - began < 10
    await server.start()
    await calls.wait_for(StreamState.OPEN)


async def test_states_are_told_in_order(peer: PeerMaker, client: ClientMaker) -> None:
    server = await peer(echo)
    seen: list[StreamState] = []
    calls = client(server, on_state=seen.append)
    await calls.wait_for(StreamState.OPEN)
    await server.kill()
    await calls.wait_for(StreamState.BROKEN)
    await calls.close()
    assert (seen[0], seen[1], seen[-1]) == (StreamState.OPEN, StreamState.BROKEN, StreamState.CLOSED)


async def test_on_demand_it_connects_with_the_first_call(peer: PeerMaker, client: ClientMaker) -> None:
    server = await peer(echo)
    calls = client(server, on_demand=True)
    await asyncio.sleep(0)
    assert (calls.state, server.streams_begun) == (StreamState.IDLE, 0)
    assert await calls.call(200, b"ab", 10) == Reply(200, b"ba")
    await server.kill()
    await calls.wait_for(StreamState.IDLE)
    await server.start()
    assert await calls.call(200, b"ab", 10) == Reply(200, b"ba")
    assert server.streams_begun == 2


async def test_a_call_times_out_by_its_own_bound_and_its_late_answer_is_dropped(
    peer: PeerMaker, client: ClientMaker
) -> None:
    gate = Gate()
    calls = client(await peer(gate))
    long = asyncio.create_task(calls.call(200, b"long", 30))
    await gate.wait_for(1)
    with pytest.raises(StreamTimeout):
        await calls.call(200, b"short", 0.05)
    with pytest.raises(TimeoutError):
        await calls.call(200, b"shorter", 0.01)
    assert not long.done()
    gate.open.set()
    assert await long == Reply(200, b"long")
    await until(lambda: calls.late == 2)
    assert (calls.timed_out, calls.in_flight) == (2, 0)


async def test_a_caller_that_gives_up_frees_its_place(peer: PeerMaker, client: ClientMaker) -> None:
    gate = Gate()
    calls = client(await peer(gate), Limits(calls=1))
    task = asyncio.create_task(calls.call(200, b"x", 10))
    await gate.wait_for(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert calls.in_flight == 0
    gate.open.set()
    assert await calls.call(200, b"y", 10) == Reply(200, b"y")


async def test_a_server_that_accepts_but_says_nothing_counts_as_broken(tmp_path: Path) -> None:
    class Silent(HopServiceServicer):
        async def Exchange(self, request_iterator: AsyncIterator[Packet], _: object) -> AsyncIterator[Packet]:  # noqa: N802
            async for _packet in request_iterator:
                pass
            yield Packet()

    server = unix_server(tmp_path / "silent.sock")
    add_HopServiceServicer_to_server(Silent(), server)
    await server.start()
    channel = unix_channel(tmp_path / "silent.sock")
    async with PackedClient(HopServiceStub(channel).Exchange, connect_timeout=0.1) as calls:
        with pytest.raises(StreamBroken, match="in time"):
            await calls.call(200, b"x", 10)
    await channel.close()
    await server.stop(None)


async def test_a_reader_that_takes_nothing_makes_the_server_stop_reading(peer: PeerMaker) -> None:
    limits = Limits(queued_bytes=2 * 2**20, calls=64)
    server = await peer(Reply, limits)
    channel = server.channel()
    stream = HopServiceStub(channel).Exchange()
    await flood_without_reading(stream, server.load)
    await channel.close()
    await server.kill()


async def test_a_half_closed_stream_is_answered_to_its_end(peer: PeerMaker) -> None:
    gate = Gate()
    server = await peer(gate)
    async with server.channel() as channel:
        stream = HopServiceStub(channel).Exchange()
        packet = Packet()
        packet.frames.add(id=7, code=200, body=b"last words")
        await stream.write(packet)
        await stream.done_writing()
        await gate.wait_for(1)
        gate.open.set()
        packets = [packet async for packet in stream]
        assert [(frame.id, frame.body) for packet in packets for frame in packet.frames] == [(7, b"last words")]
        assert await stream.code() is grpc.StatusCode.OK


async def test_a_client_that_vanishes_leaves_nothing_under_way(peer: PeerMaker) -> None:
    gate = Gate()
    server = await peer(gate)
    channel = server.channel()
    calls = PackedClient(HopServiceStub(channel).Exchange)
    calls.start()
    futures = [calls.submit(200, b"x", 10) for _ in range(10)]
    await gate.wait_for(10)
    await calls.close()
    with pytest.raises(StreamBroken):
        await futures[0]
    assert all(isinstance(future.exception(), StreamBroken) for future in futures)
    await until(lambda: server.streams_ended == 1)
    assert gate.cancelled == 10
    assert server.load.calls_in_hand == 0
    await channel.close()


async def test_closing_with_grace_lets_calls_finish(peer: PeerMaker, client: ClientMaker) -> None:
    gate = Gate()
    calls = client(await peer(gate))
    task = asyncio.create_task(calls.call(200, b"x", 10))
    await gate.wait_for(1)
    closing = asyncio.create_task(calls.close(grace=10))
    await asyncio.sleep(0)
    with pytest.raises(StreamBroken):
        await calls.call(200, b"too late", 10)
    gate.open.set()
    assert await task == Reply(200, b"x")
    await closing
    assert calls.state is StreamState.CLOSED


async def test_a_draining_server_finishes_what_it_has_and_refuses_the_rest(
    peer: PeerMaker, client: ClientMaker
) -> None:
    gate = Gate()
    server = await peer(gate)
    calls = client(server)
    task = asyncio.create_task(calls.call(200, b"x", 10))
    await gate.wait_for(1)
    drained = asyncio.create_task(server.load.drain())
    await asyncio.sleep(0)
    assert await calls.call(200, b"y", 10) == BUSY
    assert not drained.done()
    gate.open.set()
    await drained
    assert await task == Reply(200, b"x")


async def test_a_number_in_use_is_refused_without_disturbing_its_owner(peer: PeerMaker) -> None:
    gate = Gate()
    server = await peer(gate)
    async with server.channel() as channel:
        stream = HopServiceStub(channel).Exchange()
        packet = Packet()
        packet.frames.add(id=1, code=200, body=b"first")
        packet.frames.add(id=1, code=200, body=b"second")
        await stream.write(packet)
        assert await stream.read() == Packet()
        refused = await stream.read()
        assert isinstance(refused, Packet)
        assert [frame.code for frame in refused.frames] == [503]
        gate.open.set()
        answered = await stream.read()
        assert isinstance(answered, Packet)
        assert [(frame.code, frame.body) for frame in answered.frames] == [(200, b"first")]
        stream.cancel()


async def test_a_server_killed_again_and_again_loses_calls_but_never_mixes_them_up(
    peer: PeerMaker, client: ClientMaker
) -> None:
    server = await peer(echo)
    calls = client(server)
    outcomes = {"answered": 0, "failed": 0}
    stop = asyncio.Event()

    async def worker(name: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            body = b"%d/%d" % (name, number)
            try:
                assert (await calls.call(200, body, 10)).body == body[::-1]
                outcomes["answered"] += 1
            except StreamError:
                outcomes["failed"] += 1
                await asyncio.sleep(0.01)

    def enough(goal: int) -> bool:
        return outcomes["answered"] >= goal

    async with asyncio.TaskGroup() as group:
        for name in range(20):
            group.create_task(worker(name))
        for _ in range(4):
            await calls.wait_for(StreamState.OPEN)
            goal = outcomes["answered"] + 50
            await until(partial(enough, goal))
            await server.kill()
            await server.start()
        stop.set()
    assert outcomes["failed"] > 0
    assert calls.in_flight == 0
    await until(lambda: server.load.calls_in_hand == 0)


async def test_bytes_that_are_no_packet_end_the_stream_alone(peer: PeerMaker, client: ClientMaker) -> None:
    server = await peer(echo)
    calls = client(server)
    await calls.wait_for(StreamState.OPEN)
    async with server.channel() as channel:
        raw: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(
            "/naisho.wire.node.v1.HopService/Exchange"
        )
        stream = raw()
        await stream.write(b"\xff" * 100)
        assert await stream.read() == b""
        with pytest.raises(grpc.aio.AioRpcError):
            await stream.read()
    assert (await calls.call(200, b"ab", 10)).body == b"ba"


async def test_an_answer_that_is_no_packet_breaks_the_stream(tmp_path: Path) -> None:
    async def nonsense(requests: AsyncIterator[bytes], _: object) -> AsyncIterator[bytes]:
        yield b""
        async for _packet in requests:
            yield b"\xff" * 100

    server = unix_server(tmp_path / "nonsense.sock")
    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(nonsense)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("naisho.wire.node.v1.HopService", {"Exchange": method}),)
    )
    await server.start()
    channel = unix_channel(tmp_path / "nonsense.sock")
    async with PackedClient(HopServiceStub(channel).Exchange) as calls:
        with pytest.raises(StreamBroken):
            await calls.call(200, b"x", 10)
    await channel.close()
    await server.stop(None)


async def test_a_client_whose_channel_is_closed_fails_its_calls_and_goes_on_trying(peer: PeerMaker) -> None:
    server = await peer(echo)
    attempts = asyncio.Semaphore(0)
    channel = server.channel()

    def attempt() -> grpc.aio.StreamStreamCall[Packet, Packet]:
        attempts.release()
        return HopServiceStub(channel).Exchange()

    async with PackedClient(attempt) as calls:
        await calls.call(200, b"x", 10)
        await channel.close()
        await calls.wait_for(StreamState.BROKEN)
        with pytest.raises(StreamBroken):
            await calls.call(200, b"x", 10)
        for _ in range(3):
            await attempts.acquire()
